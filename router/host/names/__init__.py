"""Names on the LAN: dnsmasq on its address, and the gate that what it does not know passes.

    host ──▶ dnsmasq 192.168.1.1:53 ──▶ gate 127.0.0.1 ──▶ lan0 ──▶ the provider's name servers
             what is local               which host? may it?

`dnsmasq` configures and supervises that program. `questions` reads what it asks and makes answers,
`cache` remembers them, `errands` decides which query waits for what, `upstream` asks name servers,
`gate` has the sockets, and `service` puts it all together. `limits` bounds it.
"""
