//! What processes that run say of themselves.

use crate::cli::scrape::Scraper;
use crate::cli::{Exit, Failure};
use crate::config::Config;
use std::net::{SocketAddr, ToSocketAddrs};

/// A process that is asked.
#[derive(Debug, Clone)]
pub(super) struct Process {
    /// As it was named.
    pub(super) name: String,
    address: Option<SocketAddr>,
}

impl Process {
    /// Those of `named`; without any, the one of the configuration.
    pub(super) fn all(named: &[String], config: Option<&Config>) -> Vec<Self> {
        let own = config.map(|config| config.admin.listen.to_string());
        let names = if named.is_empty() { own.into_iter().collect() } else { named.to_vec() };
        let resolved = |name: String| {
            let address = name.to_socket_addrs().ok().and_then(|mut found| found.next());
            Self { address: address.filter(|address| address.port() != 0), name }
        };
        names.into_iter().map(resolved).collect()
    }

    /// The folder of its files: its name, as far as names of files may hold it.
    pub(super) fn folder(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
        format!("processes/{}", self.name.chars().map(plain).collect::<String>())
    }

    /// What `path` says, with its status where that is not 200.
    pub(super) fn ask(&self, scraper: &Result<Scraper, Failure>, path: &str) -> Result<String, Failure> {
        let unanswered = || {
            let what = format!("{}{path} does not answer", self.name);
            Failure::new(Exit::Unavailable, what).mend("name processes that run with --from HOST:PORT")
        };
        let address = self.address.ok_or_else(|| unanswered().because("that is no address"))?;
        let scraper = scraper.as_ref().map_err(Clone::clone)?;
        let host = self.name.rsplit_once(':').map_or(self.name.as_str(), |(host, _)| host);
        let answer = scraper.get(address, host.trim_matches(['[', ']']), path);
        let answer = answer.map_err(|error| unanswered().because(error))?;
        if answer.status == 401 {
            let fix = "set admin.token_file to the token that it asks for";
            return Err(unanswered().because("it asks for another token").mend(fix));
        }
        let head = if answer.status == 200 { String::new() } else { format!("HTTP {}\n", answer.status) };
        Ok(head + &answer.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_name_folders() {
        let [v4, v6] = ["127.0.0.1:9464", "[::1]:9464"].map(|name| {
            let processes = Process::all(&[name.to_owned()], None);
            processes[0].folder()
        });
        assert_eq!((v4.as_str(), v6.as_str()), ("processes/127.0.0.1_9464", "processes/___1__9464"));
    }

    #[test]
    fn a_port_that_is_not_known_yet_is_no_address() {
        let processes = Process::all(&["127.0.0.1:0".to_owned(), "nobody".to_owned()], None);
        for process in processes {
            let asked = process.ask(&Ok(Scraper::default()), "/metrics");
            assert!(asked.unwrap_err().why.contains("no address"));
        }
    }
}
