//! What pods say to their router and to all others on the link.

use std::net::IpAddr;

use dataplane::desired::Vif;
use dataplane::ids::Mac;
use model_router::bytes::{octets, put};
use model_router::router::Side;

use crate::dice::Dice;
use crate::session::Session;
use crate::traffic;
use crate::world::{GROUPS, REMOTE, ip, peers};

impl Session {
    /// ARP, or a message of the link from a pod or, as it must not be, from another node.
    pub(crate) fn neighbour(&self, dice: &mut Dice<'_>) -> Option<(Side, Vec<u8>)> {
        let (ids, Vif { mac: Mac(mac), addresses, vrf, .. }) = self.pick_vif(dice);
        let own = |v4: bool| addresses.iter().copied().find(|address| address.is_ipv4() == v4);
        if dice.roll(2) == 0 {
            let sender = dice.pick(&[own(true)?, own(true)?, ip("0.0.0.0"), ip("10.0.0.99")]);
            let target = self.destination(&vrf, sender, dice);
            let target = if dice.roll(4) == 3 { sender } else { target };
            let head = [0, 1, 8, 0, 6, dice.pick(&[4, 4, 4, 0]), 0, dice.pick(&[1, 1, 1, 2, 3])];
            let body = [&head, &mac[..], &octets(sender), &[0; 6], &octets(target)].concat();
            return Some((Side::Trunk, traffic::tagged(ids.slot, mac, 0x0806, &body)));
        }
        let sender = dice.pick(&[own(false)?, own(false)?, ip("::"), ip("fe80::7"), ip("fd00::99")]);
        let elsewhere = self.destination(&vrf, sender, dice);
        let target = dice.pick(&[elsewhere, own(false)?, ip("fe80::1")]);
        let kind = dice.pick(&[135, 135, 135, 136, 136, 133, 134, 143]);
        let mut message = [&[kind, 0, 0, 0, 0, 0, 0, 0], &octets(target)[..]].concat();
        if dice.roll(4) != 3 {
            message.extend([1, 1]);
            message.extend(mac);
        }
        traffic::seal(sender, target, 58, &mut message, false);
        let mut packet = traffic::ip(sender, target, 58, &message, &mut Dice(&[]));
        put(&mut packet, 7, &[dice.pick(&[255, 255, 255, 64])]);
        if dice.roll(6) == 5 {
            let label = dice.pick(&self.desired().vifs).label.get();
            return Some((Side::Uplink, self.encapsulate(label, &packet, dice.roll(3), dice)));
        }
        Some((Side::Trunk, traffic::tagged(ids.slot, mac, 0x86dd, &packet)))
    }

    /// A packet for all of a VRF that has a broadcast domain, from one of its pods or from another node.
    pub(crate) fn to_all(&self, dice: &mut Dice<'_>) -> Option<(Side, Vec<u8>)> {
        let broadcasts = &self.desired().broadcasts;
        let broadcast = broadcasts.get(dice.roll(broadcasts.len()))?;
        let fits = |address: IpAddr, like: IpAddr| address.is_ipv4() == like.is_ipv4();
        let group = |like, dice: &mut Dice<'_>| {
            let groups: Vec<_> = GROUPS.map(ip).into_iter().filter(|group| fits(*group, like)).collect();
            dice.pick(&groups)
        };
        if dice.roll(3) == 2 {
            let src = ip(dice.pick(&["fe80::9", REMOTE[0], REMOTE[0], REMOTE[4]]));
            let packet = traffic::packet(src, group(src, dice), dice);
            let listed = broadcast.nodes.get(dice.roll(broadcast.nodes.len()))?;
            let peer = peers(self.desired()).iter().position(|peer| *peer == listed.node)?;
            return Some((Side::Uplink, self.encapsulate(broadcast.label?.get(), &packet, peer, dice)));
        }
        let vifs: Vec<_> = self.desired().vifs.iter().filter(|vif| vif.vrf == broadcast.vrf).collect();
        let vif = vifs.get(dice.roll(vifs.len()))?;
        let src = if dice.roll(6) == 5 { ip("fe80::9") } else { dice.pick(&vif.addresses) };
        let packet = traffic::packet(src, group(src, dice), dice);
        let slot = self.both.model.ids.vif(&vif.name)?.slot;
        let mut frame = traffic::tagged(slot, vif.mac.0, traffic::ethertype(&packet), &packet);
        if dice.roll(2) == 0 {
            frame[..6].fill(0xff);
        }
        Some((Side::Trunk, frame))
    }
}
