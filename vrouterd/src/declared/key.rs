//! What resources are called.

use std::fmt;

use ipnet::IpNet;
use toml::Table;

/// A kind of resource, in the order in which they refer to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Private routing table.
    Vrf,
    /// Security policy.
    Policy,
    /// Interface of a pod.
    Vif,
    /// ClusterIP.
    Service,
    /// Route.
    Route,
    /// Who hears the broadcasts of a VRF.
    Broadcast,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Vrf, Kind::Policy, Kind::Vif, Kind::Service, Kind::Route, Kind::Broadcast];

    /// Its section in a document: `[[vif]]` is `vif`.
    pub const fn section(self) -> &'static str {
        match self {
            Kind::Vrf => "vrf",
            Kind::Policy => "policy",
            Kind::Vif => "vif",
            Kind::Service => "service",
            Kind::Route => "route",
            Kind::Broadcast => "broadcast",
        }
    }

    /// Its collection in a URL.
    pub const fn collection(self) -> &'static str {
        match self {
            Kind::Vrf => "vrfs",
            Kind::Policy => "policies",
            Kind::Vif => "vifs",
            Kind::Service => "services",
            Kind::Route => "routes",
            Kind::Broadcast => "broadcasts",
        }
    }

    /// The kind that a collection of a URL holds.
    pub fn of_collection(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.collection() == name)
    }
}

/// The name of a resource, unique on the node. Shown as in the API's paths: `vifs/client`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Its name; of a route its VRF and prefix, as `blue/10.0.2.0/24`; of a broadcast its VRF.
    pub name: String,
}

impl Key {
    /// The key of a resource with a name of its own.
    pub fn named(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// The key of a route; the prefix in the one form that [`IpNet`] gives it, host bits and all.
    pub fn route(vrf: &str, prefix: IpNet) -> Self {
        Self { kind: Kind::Route, name: format!("{vrf}/{prefix}") }
    }

    /// The key of a resource as its table names it, or the name of the key that is missing or unfit.
    ///
    /// # Errors
    /// The key of the table that does not name the resource.
    pub fn of(kind: Kind, table: &Table) -> Result<Self, &'static str> {
        let text = |key: &'static str| table.get(key).and_then(toml::Value::as_str).ok_or(key);
        match kind {
            Kind::Route => {
                let prefix = text("prefix")?.parse().map_err(|_| "prefix")?;
                Ok(Self::route(text("vrf")?, prefix))
            }
            Kind::Broadcast => Ok(Self::named(kind, text("vrf")?)),
            Kind::Vrf | Kind::Policy | Kind::Vif | Kind::Service => Ok(Self::named(kind, text("name")?)),
        }
    }

    /// Writes what names the resource into its table, where it is missing there.
    pub fn complete(&self, table: &mut Table) {
        let mut put = |key: &str, value: &str| {
            table.entry(key).or_insert_with(|| toml::Value::String(value.to_owned()));
        };
        match (self.kind, self.name.split_once('/')) {
            (Kind::Route, Some((vrf, prefix))) => {
                put("vrf", vrf);
                put("prefix", prefix);
            }
            (Kind::Broadcast, _) => put("vrf", &self.name),
            (Kind::Vrf | Kind::Policy | Kind::Vif | Kind::Service | Kind::Route, _) => {
                put("name", &self.name)
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.collection(), self.name)
    }
}
