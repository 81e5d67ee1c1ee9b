//! No text makes the reader panic, and no mistake goes without a message.

use proptest::prelude::*;
use std::io::Write as _;

use super::good;
use super::{NODE, VIFS};
use crate::config::{ConfigError, HostFacts, check_against, load, parse};

/// Reads a text to the end of everything that is pure.
fn digest(text: &str) {
    match parse("f", text) {
        Ok(config) => {
            let _ = check_against(&config, &HostFacts::default());
            let _ = config.desired(1500);
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused without a reason: {text:?}");
            for problem in problems.0 {
                assert!(!problem.what.is_empty() && !problem.remedy.is_empty(), "{problem}");
                assert!(!problem.to_string().contains('\n'), "{problem:?}");
                assert!(problem.place.line >= 1 && problem.place.column >= 1, "{problem:?}");
            }
        }
    }
}

/// Values of every TOML type, near and far from what keys take.
fn value() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "true",
        "1.5",
        "nan",
        "-1",
        "0",
        "17",
        "65536",
        "0xffff_ffff_ffff_ffff",
        "99999999999999999999",
        "1979-05-27",
        "\"\"",
        "\"blue\"",
        "\"client\"",
        "\"10.0.1.2\"",
        "\"::/0\"",
        "\"off\"",
        "\"\\u202e\"",
        "[]",
        "[[]]",
        "[{}]",
        "[1, 1]",
        "{}",
        "{ vif = \"client\" }",
        "[{ vif = \"client\" }]",
        "[{ tunnel = \"172.30.0.2\", label = 33 }]",
        "[{ protocol = \"tcp\", port = 80 }]",
        "[{ protocol = \"tcp\", port = \"9-1\", idle = 1 }]",
        "\"1-\"",
        "[{ from = [\"10.0.0.0/8\"], protocol = \"tcp\", port = 80 }]",
        "[{ protocol = 58, icmp_type = 128 }]",
    ];
    prop::sample::select(WORDS).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|[\\[\\]{}=\"'#,.\\n a-z0-9]{0,200}") {
        digest(&text);
        digest(&format!("{NODE}{VIFS}{text}"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        match load(file.path()) {
            Ok(_) | Err(ConfigError::Problems(_) | ConfigError::NotText { .. }) => {}
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn any_line_of_a_full_file_may_change(line in 0usize..100, value in value()) {
        let lines: Vec<&str> = good::EVERYTHING.lines().collect();
        let at = line % lines.len();
        let changed = match lines[at].split_once(" = ") {
            Some((key, _)) => format!("{key} = {value}"),
            None => format!("x = {value}"),
        };
        let text: Vec<&str> = lines.iter().enumerate().map(|(i, l)| if i == at { &changed } else { *l }).collect();
        digest(&text.join("\n"));
    }

    #[test]
    fn any_line_of_a_full_file_may_be_missing_or_doubled(line in 0usize..100, copies in 0usize..3) {
        let lines: Vec<&str> = good::EVERYTHING.lines().collect();
        let at = line % lines.len();
        let text: Vec<&str> =
            lines.iter().enumerate().flat_map(|(i, l)| vec![*l; if i == at { copies } else { 1 }]).collect();
        digest(&text.join("\n"));
    }

    #[test]
    fn any_key_of_any_section_takes_any_value(
        section in prop::sample::select(&["[node]", "[engine]", "[timeouts]", "[http]", "[api]", "[host]", "[[vif]]", "[[route]]", "[[service]]", "[[policy]]"][..]),
        key in prop::sample::select(&["name", "vrf", "addresses", "address", "label", "mtu", "via", "via_vrf", "ports", "backends", "workers", "cpus", "listen", "routes", "dscp", "legacy_udp_port", "gateway", "socket", "allow_uids", "ingress", "egress", "policies"][..]),
        value in value(),
    ) {
        digest(&format!("{VIFS}{section}\n{key} = {value}\n"));
    }
}

#[test]
fn deep_nesting_is_refused() {
    digest(&format!("a = {}", "[".repeat(100_000)));
    digest(&format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)));
}

#[test]
fn what_is_no_readable_text_is_refused_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("no.toml");
    let shown = missing.display();
    assert_eq!(
        load(&missing).unwrap_err().to_string(),
        format!(
            "{shown}: cannot read the configuration: No such file or directory (os error 2): \
             give --config a file that this user may read"
        )
    );
    let binary = directory.path().join("binary.toml");
    std::fs::write(&binary, b"a = \"\xff\"").unwrap();
    assert_eq!(
        load(&binary).unwrap_err().to_string(),
        format!("{}: the file is not UTF-8 text (byte 5): save it as UTF-8, as TOML asks", binary.display())
    );
    let endless = load(std::path::Path::new("/dev/zero")).unwrap_err();
    assert_eq!(
        endless.to_string(),
        "/dev/zero: the file is larger than 64 MiB: give --config a configuration file"
    );
}

#[test]
fn a_full_node_is_read_and_one_vif_more_is_refused() {
    let node = |vifs: u32| {
        let vif = |i: u32| {
            let (high, low) = (i >> 8, i & 0xff);
            format!(
                "[[vif]]\nname = \"p{i}\"\nifname = \"v{i}\"\nvrf = \"blue\"\naddresses = [\"10.1.{high}.{low}\"]\n\
                 mac = \"02:00:00:00:{high:02x}:{low:02x}\"\nlabel = {}\n",
                i + 16
            )
        };
        let text: String = (0..vifs).map(vif).collect();
        parse("f", &format!("{NODE}[[vrf]]\nname = \"blue\"\n{text}"))
    };
    assert_eq!(node(4094).unwrap().vifs.len(), 4094);
    assert_eq!(
        node(4095).unwrap_err().to_string(),
        "f:1:1: 4095 vifs are given, there is room for 4094: remove vifs that this node does not need"
    );
}
