//! Many bytes, every one of them compared.

use std::time::Duration;

use tests::{Lab, transfer};

use crate::{TARGET, remote_backend};

const MANY: usize = 100_000_000;

/// Sends 100 MB to `address` and gets them back.
fn there_and_back(test: &str, address: &str) {
    let lab = Lab::start(test, remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    let stream = lab.pod("client").namespace.connect_within(address, Duration::from_secs(30)).unwrap();
    transfer(stream, MANY).unwrap();
}

#[test]
fn a_hundred_megabytes_by_a_plain_route() {
    there_and_back("bulk-route", "10.0.2.2:8080");
}

#[test]
fn a_hundred_megabytes_through_the_service() {
    there_and_back("bulk-service", "10.96.0.10:80");
}

#[test]
fn a_hundred_megabytes_through_the_service_over_ipv6() {
    there_and_back("bulk-service6", "[fd00:96::10]:80");
}
