//! What the options of a script's head and of the command line say.

use super::{Failure, Options};
use crate::packetdrill::net::Net;
use crate::packetdrill::script::{Script, Span};

/// All options, applied.
#[derive(Debug)]
pub(super) struct Settings {
    /// Addresses, ports and tolerances.
    pub(super) net: Net,
    /// What runs the code.
    pub(super) code_command: String,
    /// Files of commands that run before the script's first.
    pub(super) init_scripts: Vec<String>,
    /// Nothing is run.
    pub(super) dry_run: bool,
    /// What has no effect here.
    pub(super) notes: Vec<String>,
}

impl Settings {
    /// Those of `script`, overridden by those of `options`.
    ///
    /// # Errors
    /// An option that is not known, a value that is not one, values that do not go together.
    pub(super) fn of(script: &Script, options: &Options) -> Result<Self, Box<Failure>> {
        let mut settings = Self {
            net: Net::default(),
            // Isolated: modules of the folder where somebody stands are none of the script's. And without what a site has
            // installed it starts in half the time.
            code_command: "python3 -I -S".to_owned(),
            init_scripts: Vec::new(),
            dry_run: false,
            notes: Vec::new(),
        };
        for line in &script.options {
            let applied = settings.of_script(&line.name, line.value.as_deref());
            applied.map_err(|what| Failure::new(line.span, what))?;
        }
        for (name, value) in &options.settings {
            let applied = settings.apply(name, value.as_deref());
            applied.map_err(|what| Failure::new(Span::default(), what))?;
        }
        settings.net.check().map_err(|what| Failure::new(Span::default(), what))?;
        Ok(settings)
    }

    /// As [`apply`](Self::apply), but a script does not choose which of the machine's programs is run.
    fn of_script(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        match (name, value) {
            // No more than the language, which there is no choice of.
            ("code_command", Some("python" | "python3")) => Ok(()),
            ("code_command", Some(command)) => {
                self.notes.push(format!("--code_command={command}: obeyed on the command line only"));
                Ok(())
            }
            _ => self.apply(name, value),
        }
    }

    fn apply(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        if self.net.apply(name, value)? {
            return Ok(());
        }
        let needed = || value.ok_or_else(|| format!("--{name}: expected a value"));
        match name {
            // Of interest to the parser alone.
            "define" => {}
            "code_command" => self.code_command = needed()?.to_owned(),
            "code_format" => match needed()? {
                "python" => {}
                other => return Err(format!("--code_format={other}: expected python")),
            },
            "init_scripts" => self.init_scripts = needed()?.split(',').map(str::to_owned).collect(),
            "dry_run" => self.dry_run = true,
            "verbose" | "debug" | "send_omit_free" | "persistent_tun_dev" => {}
            "speed" | "code_sockopt" | "so_filename" | "so_flags" | "wire_client" | "wire_server"
            | "wire_server_ip" | "wire_server_at" | "wire_server_port" | "wire_client_dev"
            | "wire_server_dev" => self.notes.push(format!("--{name}: no effect here")),
            _ => return Err(format!("no such option: --{name}")),
        }
        Ok(())
    }
}

/// `SYMBOL=value` of every `--define` of the command line, each with its value's parts.
pub(super) fn defines(options: &Options) -> Vec<(String, String)> {
    let defines = options.settings.iter().filter(|(name, _)| name == "define");
    let pairs = defines.filter_map(|(_, value)| value.as_deref()?.split_once('='));
    pairs.map(|(symbol, value)| (symbol.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests;
