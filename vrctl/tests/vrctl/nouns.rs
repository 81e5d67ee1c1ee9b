//! What nouns say that ask several pages, or go on for a while; over the Unix socket.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use vrouterd::http::{Hosts, Limits, Options, VifSeries, router, serve};

use super::fixture::Fixture;
use super::{Run, run};

/// Socket of the daemon's pages, served until the tests end.
pub(crate) fn daemon() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = scratch("api.sock");
        let bound = path.clone();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::bind(bound).unwrap();
                send.send(()).unwrap();
                let options = Options {
                    vif_series: VifSeries::default(),
                    hosts: Hosts::Any,
                    page_deadline: std::time::Duration::from_secs(10),
                };
                serve(
                    listener,
                    router(Arc::new(Fixture::default()), options),
                    Limits::default(),
                    std::future::pending(),
                )
                .await;
            });
        });
        receive.recv().unwrap();
        path.to_str().unwrap().to_owned()
    })
}

/// A path of this test run's own.
fn scratch(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vrctl-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}

fn vrctl(arguments: &[&str]) -> Run {
    run(&[&["--socket", daemon()], arguments].concat(), &[])
}

#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let run = vrctl(arguments);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    run.stdout
}

#[track_caller]
fn assert_shown(arguments: &[&str], expected: &str) {
    let shown = shown(arguments);
    assert_eq!(shown, expected, "{arguments:?}:\n{shown}");
}

#[track_caller]
fn assert_mistake(arguments: &[&str], expected: &str) {
    let stderr = format!("vrctl: {expected}\n");
    assert_eq!(vrctl(arguments), Run { code: 2, stdout: String::new(), stderr }, "{arguments:?}");
}

#[test]
fn the_socket_gives_the_same_pages_as_tcp() {
    assert!(shown(&["stats"]).starts_with("node            node-a\n"));
    assert_eq!(shown(&["vif"]), shown(&["vif", "list"]));
}

const ECMP: &str = "\
route   10.96.0.10/32
vrf     blue
origin  service

NH  WEIGHT  TO                   STATE
 1       1  vif web-1            up
 6       3  172.30.0.2 label 34  up
";

#[test]
fn route_get_finds_the_longest_prefix() {
    assert_shown(&["route", "get", "10.96.0.10", "--vrf", "blue"], ECMP);
    let six = shown(&["route", "get", "fd00:2::9", "--vrf", "blue"]);
    assert!(six.starts_with("route   fd00:2::/64\n") && six.contains(" 3       1  vrf red  up\n"), "{six}");
    let json = shown(&["route", "get", "10.96.0.10", "--vrf", "blue", "-o", "json"]);
    let route: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&route["prefix"], &route["next_hops"][1]["state"]), (&"10.96.0.10/32".into(), &"up".into()));
    let lost = "VRF \"blue\" has no route to 10.9.9.9: packets to it are dropped as `no_route`";
    assert_mistake(&["route", "get", "10.9.9.9", "--vrf", "blue"], lost);
    let absent = "there is no VRF \"bleu\" on this node; `vrctl vrf list` names those there are";
    assert_mistake(&["route", "get", "10.9.9.9", "--vrf", "bleu"], absent);
}

const SERVICE: &str = "\
address                 10.96.0.10
vrf                     blue
ports                   tcp/80->8080,udp/53
affinity                a client stays for 10800 s after its last new flow
when a backend is gone  reset

BACKEND              WEIGHT  STATE
vif web-1                 1  up
vif web-2                 1  down: The vif is down.
172.30.0.2 label 34       1  terminating, up
";

#[test]
fn services_and_vrfs_in_full() {
    assert_shown(&["service", "show", "10.96.0.10"], SERVICE);
    let absent =
        "there is no service \"10.96.0.99\" on this node; `vrctl service list` names those there are";
    assert_mistake(&["service", "show", "10.96.0.99"], absent);
    let red = shown(&["vrf", "show", "red"]);
    assert!(
        red.starts_with("name          red\nsource nat    192.0.2.1:1024-65535\nbroadcast to  off\n\nNAME "),
        "{red}"
    );
    assert!(red.ends_with("\nred  0.0.0.0/0  declared   4       1  discard\n"), "{red}");
    assert_mistake(
        &["vrf", "show", "nope"],
        "there is no VRF \"nope\" on this node; `vrctl vrf list` names those there are",
    );
}

const FLOW: &str = "\
protocol    tcp
vrf         blue
state       established
age         12m34s
idle        0s
forward     10.0.1.2:40000 -> 10.96.0.10:80
  way       from vif client to vif web-1
  traffic   1200 packets, 840000 bytes
reply       10.0.1.3:8080 -> 10.0.1.2:40000
  way       from vif web-1 to vif client
  traffic   2400 packets, 1680000 bytes
translated  destination 10.96.0.10:80->10.0.1.3:8080
allowed by  policy web, ingress rule http: tcp 8080 with 10.0.0.0/8
";

#[test]
fn flows_in_full_and_by_every_filter() {
    assert_shown(&["flow", "show", "--proto", "tcp"], FLOW);
    assert_shown(&["flow", "show", "--port", "9"], "no flow matches\n");
    for filter in
        [&["--src", "10.0.1.0/24"][..], &["--dst", "10.0.1.3"], &["--top", "bytes", "--proto", "tcp"]]
    {
        let some = shown(&[&["flow", "list"], filter].concat());
        assert!(some.contains("\nblue  tcp ") && !some.contains("blue  udp"), "{filter:?}: {some}");
    }
    assert_mistake(&["flow", "flush"], "name a filter, or write --all to remove every flow");
    assert_mistake(&["flow", "flush", "--all", "--port", "1"], "--all and a filter contradict each other");
    let state = vrctl(&["flow", "list", "--state", "nope"]);
    assert!(
        state.code == 2 && state.stderr.contains("write one of dropped, tcp_opening"),
        "{}",
        state.stderr
    );
}

#[test]
fn drops_of_a_vif_and_as_they_come() {
    let of_client = shown(&["drops", "--vif", "client"]);
    assert!(of_client.contains("\nno_route             12  vif client 12  The VRF"), "{of_client}");
    assert_shown(&["drops", "--vif", "web-1"], "no packet has been dropped\n");
    assert_shown(&["drops", "--watch", "--count", "1"], "  PACKETS  REASON                    PORTS\n");
    assert_eq!(vrctl(&["drops", "--count", "1"]).code, 2);
}

#[test]
fn top_shows_rates_once_and_wants_a_terminal_otherwise() {
    let top = shown(&["top", "--once", "--sort", "name"]);
    assert!(top.starts_with("node-a: uplink rx 0 packets/s 0 bit/s, tx 0 packets/s"), "{top}");
    assert!(top.contains("\nno packet is dropped\n"), "{top}");
    assert!(top.contains("\nclient ") && top.contains("  down\n"), "{top}");
    assert_mistake(&["top"], "`vrctl top` needs a terminal: `vrctl top --once` prints one view and ends");
    let json: serde_json::Value = serde_json::from_str(&shown(&["top", "--once", "-o", "json"])).unwrap();
    assert_eq!(json["vifs"].as_array().unwrap().len(), 5);
}

const FOLLOWED: &str = "\
node-a  VRF blue: route 10.96.0.10/32 (service), 2 ways
  node-a  -> vif web-1  delivered: to 10.0.1.3,fd00:2::2
  node-a  -> 172.30.0.2 label 34  unknown: add the node of 172.30.0.2 with --node NAME=URL
delivered on 1 of 2 ways
";

#[test]
fn follow_goes_as_far_as_it_knows_nodes() {
    assert_shown(&["follow", "10.96.0.10", "--vrf", "blue"], FOLLOWED);
    let node = format!("first={}", daemon());
    let named = shown(&["follow", "10.96.0.10", "--vrf", "blue", "--node", &node]);
    assert!(named.starts_with("first  VRF blue"), "{named}");
    let json: serde_json::Value =
        serde_json::from_str(&shown(&["follow", "fd00:2::9", "--vrf", "blue", "-o", "json"])).unwrap();
    assert_eq!((&json["ways"], &json["delivered"]), (&1.into(), &0.into()));
    assert_eq!(json["steps"][2]["end"]["outcome"], "dropped");
    assert_eq!(vrctl(&["follow", "::1", "--vrf", "blue", "--node", "x=nope"]).code, 2);
    let from = ["follow", "::1", "--vrf", "blue", "--node", &node, "--from", "other"];
    assert_mistake(&from, "--from names none of the nodes that --node gives");
}

#[test]
fn yaml_is_the_daemons_document_too() {
    let yaml = shown(&["vrf", "-o", "yaml"]);
    assert!(yaml.starts_with("- name: blue\n  vifs:\n  - client\n"), "{yaml}");
}

#[test]
fn colours_are_for_terminals_only() {
    let with = |environment: &[(&str, &str)]| run(&["--socket", daemon(), "nh"], environment).stdout;
    assert!(!with(&[]).contains('\u{1b}'));
    let forced = with(&[("CLICOLOR_FORCE", "1")]);
    assert!(
        forced.contains("\u{1b}[31mdown: The tunnel endpoint 172.30.0.3 does not answer.\u{1b}[0m"),
        "{forced}"
    );
    assert!(!with(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn what_is_not_there_or_not_allowed_says_what_to_do() {
    let path = scratch("none.sock");
    let missing = run(&["--socket", path.to_str().unwrap(), "vif"], &[]);
    let expected = format!(
        "vrctl: no vrouter daemon answers at {}: No such file or directory (os error 2); start it with `vrouterd \
         run --config FILE`, or name its `api.socket` with --socket, or its `http.listen` with --url\n",
        path.display()
    );
    assert_eq!(missing, Run { code: 1, stdout: String::new(), stderr: expected });
    for arguments in [&["policy"][..], &["config", "get"], &["flow", "flush", "--all"], &["watch"]] {
        let refused = run(&[&["--url", "http://127.0.0.1:1"], arguments].concat(), &[]);
        assert!(refused.code == 2 && refused.stderr.contains("leave --url away"), "{}", refused.stderr);
    }
    assert_eq!(run(&["--url", "http://127.0.0.1:1", "--socket", "/x", "vif"], &[]).code, 2);
}

#[test]
fn shells_and_manuals_know_every_noun() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completion", shell], &[]).stdout;
        for word in ["follow", "flush", "--deadline"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let directory = scratch("man");
    assert_eq!(run(&["man", directory.to_str().unwrap()], &[]).code, 0);
    for page in ["vrctl.1", "vrctl-vif-attach.1", "vrctl-follow.1"] {
        let text = std::fs::read_to_string(directory.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let shown = Command::new("ls").arg(&directory).output().unwrap();
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("vrctl-man"), "a page for the build only");
}

#[test]
fn the_page_of_the_docs_shows_every_noun() {
    let page = include_str!("../../../docs/vrctl.md");
    let help = run(&["help"], &[]).stdout;
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let nouns: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(nouns.contains(&"vif") && nouns.contains(&"follow"), "{help}");
    for noun in nouns.into_iter().filter(|noun| *noun != "help") {
        assert!(page.contains(&format!("vrctl {noun}")), "docs/make-vrctl.sh does not show {noun}");
    }
}
