//! A VRF `public` on every node: pods leave with an address of a pool or with one of their own.

use std::fmt::Write as _;

use super::{HOST_LABEL, NodePlan, Plan};

/// How the pods of a plan reach the outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct PublicPlan {
    /// Pod, and last number of its floating IPs within those of its node.
    floating: Vec<(String, u8)>,
    /// More lines of `source_nat`.
    pool_keys: String,
}

impl Plan {
    /// Every node has a VRF `public`, into which `blue` leads and which leads to the host and to the other nodes.
    /// Of 192.0.2.<16 n>/28 and 2001:db8:<n>::/64 node n has .1 and ::1 as its pool, .14 and ::e on `vhost0`.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = Some(PublicPlan::default());
        self
    }

    /// More keys of every pool, such as `mapping = \"endpoint-independent\"`.
    ///
    /// # Panics
    /// When the plan is not public.
    #[must_use]
    pub fn pool_key(mut self, key: &str) -> Self {
        let _ = write!(self.public_mut().pool_keys, ", {key}");
        self
    }

    /// The pod has floating IPs: `number` within those of its node, of both families.
    ///
    /// # Panics
    /// When the plan is not public.
    #[must_use]
    pub fn floating(mut self, pod: &str, number: u8) -> Self {
        self.public_mut().floating.push((pod.to_owned(), number));
        self
    }

    /// Takes the floating IPs of a pod away; [`crate::Lab::reload`] makes the change known.
    ///
    /// # Panics
    /// When the plan is not public.
    pub fn no_floating(&mut self, pod: &str) {
        self.public_mut().floating.retain(|(name, _)| name != pod);
    }

    fn public_mut(&mut self) -> &mut PublicPlan {
        self.public.as_mut().expect("the plan is public")
    }

    /// The line of a pod's floating IPs.
    pub(crate) fn floating_line(&self, pod: &str, node: &NodePlan) -> String {
        let of_pod = self.public.iter().flat_map(|public| &public.floating);
        let Some((_, number)) = of_pod.clone().find(|(name, _)| name == pod) else { return String::new() };
        let floating = |address: String| format!("{{ address = \"{address}\", vrf = \"public\" }}");
        let [four, six] = node.public(*number).map(floating);
        format!("floating_ips = [{four}, {six}]\n")
    }

    /// The sections of a node about the VRF `public`.
    pub(crate) fn public_toml(&self, node: &NodePlan) -> String {
        let Some(public) = &self.public else { return String::new() };
        let ([pool4, pool6], [host4, host6]) = (node.public(1), node.public(14));
        let own = node.public_prefixes();
        let mut text = format!(
            "[host]\nvrf = \"public\"\naddresses = [\"{host4}\", \"{host6}\"]\nlabel = {HOST_LABEL}\n\
             routes = [\"{}\", \"{}\"]\n\
             [[vrf]]\nname = \"public\"\nlabel = {}\n\
             source_nat = {{ addresses = [\"{pool4}\", \"{pool6}\"]{} }}\n",
            own[0],
            own[1],
            node.public_label(),
            public.pool_keys,
        );
        let mut route = |vrf: &str, prefix: &str, target: &str| {
            let _ = writeln!(text, "[[route]]\nvrf = \"{vrf}\"\nprefix = \"{prefix}\"\n{target}");
        };
        for default in ["0.0.0.0/0", "::/0"] {
            route("blue", default, "via_vrf = \"public\"");
            route("public", default, "via = [{ vif = \"vhost0\" }]");
        }
        for other in &self.nodes {
            let (label, tunnel) = (other.public_label(), self.tunnel_address(other));
            let target = match other.name == node.name {
                true => "action = \"discard\"".to_owned(),
                false => format!("via = [{{ tunnel = \"{tunnel}\", label = {label} }}]"),
            };
            other.public_prefixes().iter().for_each(|prefix| route("public", prefix, &target));
        }
        text
    }
}

impl NodePlan {
    /// Public addresses of the node by their last number, IPv4 and IPv6.
    pub(crate) fn public(&self, number: u8) -> [String; 2] {
        [format!("192.0.2.{}", 16 * self.number + number), format!("2001:db8:{}::{number:x}", self.number)]
    }

    /// Public prefixes of the node.
    pub(crate) fn public_prefixes(&self) -> [String; 2] {
        [format!("192.0.2.{}/28", 16 * self.number), format!("2001:db8:{}::/64", self.number)]
    }

    fn public_label(&self) -> u32 {
        500 + u32::from(self.number)
    }
}
