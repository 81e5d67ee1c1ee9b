//! `[api]`: the socket on which state is declared.

use std::path::{Path, PathBuf};

use super::model::Api;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

/// Name of the socket in the state directory, where none is given.
const SOCKET: &str = "api.sock";
/// A Unix socket's path has at most 107 bytes (`sun_path` in unix(7)).
const LONGEST_SOCKET: usize = 107;
/// More users than this are better a group of their own behind one proxy.
const MOST_UIDS: usize = 64;

/// `state_dir` is that of the node, if it could be read.
pub(super) fn api(mut section: Section<'_>, state_dir: Option<&Path>) -> Result<Api, Reported> {
    let default = state_dir.map_or_else(PathBuf::new, |directory| directory.join(SOCKET));
    let socket = section.or_default("socket", default, socket);
    let allow_uids = section.or_default("allow_uids", Vec::new(), uids);
    section.finish();
    Ok(Api { socket: socket?, allow_uids: allow_uids? })
}

fn socket(item: &Item<'_>) -> Result<PathBuf, Reported> {
    let text = item.text()?;
    let names_a_file = !text.ends_with('/') && Path::new(text).file_name().is_some();
    let fits = text.starts_with('/') && text.len() <= LONGEST_SOCKET && names_a_file;
    if !fits || text.contains(char::is_control) {
        let what = format!("{} cannot be the path of a socket", quote(text));
        let remedy = "write an absolute path of at most 107 bytes, like \"/run/vrouter/api.sock\"";
        return Err(item.wrong(what, remedy));
    }
    Ok(PathBuf::from(text))
}

fn uids(item: &Item<'_>) -> Result<Vec<u32>, Reported> {
    // The last number means "no user" to the kernel (uid_valid in include/linux/uidgid.h).
    let uids = item.list(|element| scalar::medium(element, 0..=u32::MAX - 1))?;
    if uids.len() > MOST_UIDS {
        let what = format!("{} user ids are given", uids.len());
        return Err(item.wrong(what, format_args!("give at most {MOST_UIDS}")));
    }
    Ok(uids.into_iter().map(|at| at.value).collect())
}
