//! The programs on real veths in network namespaces of their own (prefix `vxb-`). Needs root; without it every
//! test fails and names the missing capability. Needs `ip`, `tc`, `ethtool`, `ping` and `tcpdump`.

#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod topology;
#[cfg(test)]
mod uplink;
#[cfg(test)]
mod wire;
