//! Flow pairs for benchmarks of tables: a client's flow to a ClusterIP, translated to a pod.

use flow_table::{
    Action, Addr, Context, Dependency, Direction, Family, FlowKey, Half, NewPair, Output, Source, Ttl, Tuple,
};

const UDP: u8 = 17;
/// Clients; flows beyond them differ in the port.
const CLIENTS: u32 = 64;

/// The key of a direction of flow `n`, below 2^20.
pub fn key(n: u32, direction: Direction) -> FlowKey {
    let client = Addr::from_v4([10, 2, 0, (n % CLIENTS) as u8 + 1]);
    let port = 1024 + (n / CLIENTS) as u16;
    let (context, tuple) = match direction {
        Direction::Forward => (Context(1), forward(client, port)),
        Direction::Reverse => (Context(2), reverse(client, port)),
    };
    FlowKey { context, tuple }
}

fn forward(client: Addr, port: u16) -> Tuple {
    let dst = Addr::from_v4([10, 96, 0, 1]);
    Tuple { family: Family::V4, protocol: UDP, src: client, dst, sport: port, dport: 80 }
}

fn reverse(client: Addr, port: u16) -> Tuple {
    let src = Addr::from_v4([10, 1, 0, 1]);
    Tuple { family: Family::V4, protocol: UDP, src, dst: client, sport: 8080, dport: port }
}

/// The action of a direction.
pub fn action(direction: Direction) -> Action {
    let depends = Dependency { cell: 1, epoch: 1 };
    match direction {
        Direction::Forward => {
            let (output, source) = (Output::Vif { slot: 1 }, Source::Tunnel(0));
            Action { output, ttl: Ttl::Keep, source, depends }
        }
        Direction::Reverse => {
            let (output, source) = (Output::Tunnel { tunnel: 0, label: 2000 }, Source::Vif);
            Action { output, ttl: Ttl::Decrement, source, depends }
        }
    }
}

/// Flow `n`.
pub fn pair(n: u32) -> NewPair {
    let half = |direction| Half { key: key(n, direction), action: action(direction) };
    NewPair { forward: half(Direction::Forward), reverse: half(Direction::Reverse), owner: 1 }
}
