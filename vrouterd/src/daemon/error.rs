//! Why the daemon does not start or has to stop.

use std::net::SocketAddr;

use crate::config::{ConfigError, Problems};
use crate::engine::EngineError;
use crate::kernel::KernelError;
use crate::kernel::devices::SwapError;
use crate::preflight::PreflightError;

/// Why the daemon does not start or has to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration file is no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration does not fit this machine.
    #[error(transparent)]
    Machine(#[from] Problems),
    /// Privileges are missing.
    #[error(transparent)]
    Privileges(#[from] PreflightError),
    /// The kernel lacks something.
    #[error("this kernel lacks {0}")]
    KernelFeature(String),
    /// The daemon that runs does not let go.
    #[error(
        "the daemon that runs does not hand over: {0}; run this one as root or as the user of that one, or end that one \
         (SIGTERM) and start this one without --replace"
    )]
    NotHandedOver(String),
    /// No runtime or signal handler can be had.
    #[error("cannot start: {0}; look at the limits on processes and open files (ulimit -u, -n)")]
    Runtime(std::io::Error),
    /// The HTTP address cannot be had.
    #[error("http.listen: cannot listen on {address}: {source}; choose another port or end what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The API's socket cannot be had.
    #[error(transparent)]
    Socket(#[from] crate::api::SocketError),
    /// A request to the kernel failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A BPF program cannot be loaded or attached.
    #[error(transparent)]
    Program(#[from] xdp_prog::Error),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The configuration contradicts itself in a way that its check has missed.
    #[error(transparent)]
    Compile(#[from] dataplane::compile::CompileError),
    /// The netlink connection is gone.
    #[error("the connection to the kernel (netlink) has ended; start the daemon again")]
    KernelGone,
    /// A device that sockets and programs were bound to has been removed.
    #[error("{0} has been removed; start the daemon again (when the uplink is back, if that is it)")]
    DeviceGone(String),
    /// A worker has ended.
    #[error("a worker thread has ended by itself; this is a defect: please report it with the log")]
    WorkerGone,
}

/// Why a configuration is not in force, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// Nothing of it is.
    #[error("{0}")]
    Refused(String),
    /// All of it is, but the host's interface.
    #[error("the configuration is in force except for [host]: {0}; mend it and reload again")]
    Host(#[from] SwapError),
}

impl DaemonError {
    /// Whether the operator can mend it by changing configuration, command line or privileges.
    pub fn is_mistake(&self) -> bool {
        matches!(
            self,
            DaemonError::Config(_)
                | DaemonError::Machine(_)
                | DaemonError::Privileges(_)
                | DaemonError::KernelFeature(_)
                | DaemonError::Listen { .. }
                | DaemonError::Socket(_)
                | DaemonError::Kernel(KernelError::AlreadyRunning)
        )
    }
}
