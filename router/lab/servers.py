"""A process of the lab's own servers: `python -m router.lab.servers internet|mail`."""

import asyncio
import sys

from router.lab import dialogs, pages

__all__ = ["HTTP_PORT", "NNTP_PORT", "SMTP_PORT", "main"]

SMTP_PORT = 25
HTTP_PORT = 80
NNTP_PORT = 119


async def main(place: str) -> None:
    """Serve what is served in this place of the lab, until the process is ended."""
    async with asyncio.TaskGroup() as services:
        services.create_task(pages.serve(HTTP_PORT))
        if place == "mail":
            services.create_task(dialogs.serve(dialogs.SMTP, SMTP_PORT))
            services.create_task(dialogs.serve(dialogs.NNTP, NNTP_PORT))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
