//! `vrctl capture`: packets into a pcapng file.

use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;

use crate::failure::Failure;
use crate::query;
use crate::session::Session;

/// Which packets, and where they go.
///
/// Packets are as the pod sends and receives them, translated ones after their translation. The
/// file opens in Wireshark, also while it grows; `-w -` writes it to standard output.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only packets of this vif.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vif: Option<String>,
    /// Dropped packets too, with the reason as their comment.
    #[arg(long)]
    drops: bool,
    /// The file.
    #[arg(long, short, value_name = "FILE")]
    write: PathBuf,
    /// Only this protocol: tcp, udp, sctp, icmp, icmp6 or a number.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    proto: Option<String>,
    /// Only packets from this address.
    #[arg(long, value_name = "ADDR")]
    src: Option<IpAddr>,
    /// Only packets to this address.
    #[arg(long, value_name = "ADDR")]
    dst: Option<IpAddr>,
    /// Only packets from or to this port.
    #[arg(long)]
    port: Option<u16>,
    /// Keeps so many bytes of each packet.
    #[arg(long, value_name = "BYTES")]
    snap: Option<u32>,
    /// Ends after so many packets.
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// Ends when the file has so many bytes.
    #[arg(long, value_name = "N")]
    bytes: Option<u64>,
    /// Ends after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
}

impl Args {
    /// Writes what comes until the daemon ends the capture.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut lines = session.daemon.stream(&self.query())?;
        let is_stdout = self.write == Path::new("-");
        let mut out: Box<dyn std::io::Write> = match is_stdout {
            true => Box::new(std::io::stdout().lock()),
            false => Box::new(File::create(&self.write).map_err(|error| self.bad_file(&error))?),
        };
        let mut written = 0;
        loop {
            let block = lines.fill_buf().map_err(|error| Failure::BadEvent(error.to_string()))?;
            if block.is_empty() {
                break;
            }
            out.write_all(block)?;
            // What is there can be looked at.
            out.flush()?;
            let len = block.len();
            lines.consume(len);
            written += len;
        }
        if is_stdout { Ok(()) } else { session.say(&format!("{}: {written} bytes\n", self.write.display())) }
    }

    fn query(&self) -> String {
        let address = |address: Option<IpAddr>| address.map(|address| address.to_string());
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        query::of_v1(
            "/v1/capture",
            &[
                ("vif", self.vif.clone()),
                ("drops", Some(self.drops.to_string())),
                ("proto", self.proto.clone()),
                ("src", address(self.src)),
                ("dst", address(self.dst)),
                ("port", self.port.map(|port| port.to_string())),
                ("snap", number(self.snap)),
                ("limit", number(self.count)),
                ("bytes", self.bytes.map(|bytes| bytes.to_string())),
                ("seconds", number(self.seconds)),
            ],
        )
    }

    fn bad_file(&self, error: &std::io::Error) -> Failure {
        let reason = format!("{error}; name a file that can be written with -w");
        Failure::BadFile { path: self.write.display().to_string(), reason }
    }
}
