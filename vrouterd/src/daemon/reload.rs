//! The configuration file, read again while the node runs.

use std::sync::Arc;

use dataplane::desired::Desired;

use super::control::Control;
use super::error::ReloadError;
use super::sources::OperatorFile;
use super::start::vhost_plan;
use crate::config::{Config, Problems, check_against};
use crate::kernel::uplink::find_uplink;

impl Control {
    /// Reads the configuration file again. A file with mistakes changes nothing.
    pub(super) async fn reload(&mut self) {
        let outcome = self.try_reload().await;
        match &outcome {
            Ok(()) => {
                tracing::info!(file = %self.parts.sources.file.path().display(), "configuration reloaded")
            }
            Err(ReloadError::Refused(error)) => {
                tracing::error!("configuration not reloaded, the running state is kept:\n{error}");
            }
            Err(error @ ReloadError::Host(_)) => tracing::error!("{error}"),
        }
        self.reload_error = outcome.err().map(|error| error.to_string());
        self.tell();
    }

    async fn try_reload(&mut self) -> Result<(), ReloadError> {
        let (file, config, desired) = self.read().await.map_err(ReloadError::Refused)?;
        let vhost = vhost_plan(&config, &desired);
        let compiled = self.compile(&desired).map_err(|error| ReloadError::Refused(error.to_string()))?;
        self.parts.sources.take_file(file);
        self.install(Arc::new(config), desired, compiled);
        self.plug();
        self.configure_fabric();
        // Last, as it alone can fail halfway.
        let swapped = self.devices.swap_vhost(&mut self.parts.vhost, vhost).await;
        self.follow().await.map_err(|error| ReloadError::Refused(error.to_string()))?;
        Ok(swapped?)
    }

    /// The file, judged alone and with what is declared, and the desired state that both make.
    async fn read(&self) -> Result<(OperatorFile, Config, Desired), String> {
        let sources = &self.parts.sources;
        let (file, _) =
            OperatorFile::read(sources.file.path().to_owned()).map_err(|error| error.to_string())?;
        let both = file.with(&sources.documents.declared, &sources.store).await;
        let config = both.map_err(|unfit| Problems(unfit.problems).to_string())?;
        let facts = Arc::clone(&self.facts.borrow());
        let gateways = self.parts.netlink.gateways().await.map_err(|error| error.to_string())?;
        let problems = check_against(&config, &super::host_facts(&facts, &gateways));
        if !problems.is_empty() {
            return Err(Problems(problems).to_string());
        }
        refuse_fixed(&self.parts.config, &config)?;
        let node = &config.node;
        find_uplink(&facts, &node.uplink.value, node.tunnel_address.value)
            .map_err(|fault| fault.to_string())?;
        let desired = self.desired(&config);
        Ok((file, config, desired))
    }
}

/// What only a restart can change.
fn refuse_fixed(old: &Config, new: &Config) -> Result<(), String> {
    let changed = [
        ("node.uplink", old.node.uplink.value != new.node.uplink.value),
        ("node.state_dir", old.node.state_dir != new.node.state_dir),
        ("[engine]", old.engine != new.engine),
        ("[timeouts]", old.timeouts != new.timeouts),
        ("[http]", old.http != new.http),
        ("[api]", old.api != new.api),
        ("[export]", old.export != new.export),
    ];
    let names: Vec<_> = changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!("{} can not change while the daemon runs: restart it, or undo that change", names.join(", ")))
}
