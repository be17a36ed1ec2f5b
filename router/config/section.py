"""What every table of a configuration file has in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

__all__ = ["Section"]


class Section(BaseModel):
    """A table of the file: keys it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def options(cls) -> dict[str, FieldInfo]:
        """Return what there is to set, by its name in the file."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}
