"""Reads the JSON page of a vif and shows what matters at a glance."""

import json
import sys

page = json.load(sys.stdin)
for key in ("name", "ifname", "vrf", "addresses", "mac", "label", "mtu", "state", "flows"):
    print(f"  {key:10} {page[key]}")
for direction in ("rx", "tx"):
    traffic = page["traffic"][direction]
    print(f"  {direction:10} {traffic['packets']} packets, {traffic['bytes']} bytes")
print(f"  {'dropped':10} {page['traffic']['dropped']} packets")
for drop in page["traffic"]["drops"]:
    print(f"    {drop['reason']} {drop['count']}: {drop['meaning']}")
