//! What breaks in a campaign: one thing after another, each mended before the next.

use std::collections::BTreeMap;
use std::time::Duration;

use im_tests::deployment::{Deployment, Profile};
use im_tests::dice::Dice;
use im_tests::history::History;
use im_tests::proxy::{Flow, Flows, Proxy};
use tokio::time::sleep;

/// How long a drain may take: the server's own limit and a little.
const DRAIN_WITHIN: Duration = Duration::from_secs(40);

/// Breaks things in a deployment and mends them.
pub(super) struct Injector {
    /// What is broken.
    pub(super) deployment: Deployment,
    /// How much was.
    pub(super) faults: u64,
    history: History,
    dice: Dice,
    counts: BTreeMap<&'static str, u64>,
}

/// What can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillServer,
    KillRoute,
    KillRedis,
    KillEtcd,
    KillStandalone,
    Pause,
    PauseRedis,
    DrainServer,
    CutClients,
    CutEverything,
    StallLink,
    SwallowLink,
}

const IN_CLUSTER: [Fault; 12] = [
    Fault::KillServer,
    Fault::KillServer,
    Fault::KillRoute,
    Fault::KillRedis,
    Fault::KillEtcd,
    Fault::Pause,
    Fault::PauseRedis,
    Fault::DrainServer,
    Fault::CutClients,
    Fault::CutEverything,
    Fault::StallLink,
    Fault::SwallowLink,
];

const IN_STANDALONE: [Fault; 6] = [
    Fault::KillStandalone,
    Fault::KillStandalone,
    Fault::Pause,
    Fault::CutClients,
    Fault::StallLink,
    Fault::SwallowLink,
];

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::KillServer => "kill -9 server",
            Self::KillRoute => "kill -9 route",
            Self::KillRedis => "kill -9 Redis",
            Self::KillEtcd => "kill -9 etcd",
            Self::KillStandalone => "kill -9 standalone",
            Self::Pause => "freeze a node",
            Self::PauseRedis => "freeze Redis",
            Self::DrainServer => "drain",
            Self::CutClients => "cut half the clients",
            Self::CutEverything => "cut every connection",
            Self::StallLink => "stall a link",
            Self::SwallowLink => "half-open link",
        }
    }
}

impl Injector {
    pub(super) fn new(deployment: Deployment, history: History, dice: Dice) -> Self {
        Self {
            deployment,
            faults: 0,
            history,
            dice,
            counts: BTreeMap::new(),
        }
    }

    /// What broke how often.
    pub(super) fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.counts.iter();
        counts
            .map(|(&what, &count)| (what.to_owned(), count))
            .collect()
    }

    /// Breaks one thing, and mends it.
    pub(super) async fn break_something(&mut self) -> anyhow::Result<()> {
        let fault = match self.deployment.plan.profile {
            Profile::Embedded => IN_STANDALONE[self.dice.below(IN_STANDALONE.len())],
            Profile::RedisCluster => loop {
                let fault = IN_CLUSTER[self.dice.below(IN_CLUSTER.len())];
                if !matches!(fault, Fault::KillRedis | Fault::PauseRedis) {
                    break fault;
                }
            },
            Profile::Cluster => IN_CLUSTER[self.dice.below(IN_CLUSTER.len())],
        };
        self.faults += 1;
        *self.counts.entry(fault.name()).or_default() += 1;
        self.history.fault(fault.name());
        self.inject(fault).await
    }

    async fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::KillServer | Fault::KillRoute | Fault::KillStandalone => {
                let away = self.up_to(2000);
                let daemons: Vec<_> = match fault {
                    Fault::KillServer => {
                        daemons_of(&mut self.deployment.servers, |one| &mut one.daemon)
                    }
                    Fault::KillRoute => {
                        daemons_of(&mut self.deployment.routes, |one| &mut one.daemon)
                    }
                    _ => self.deployment.daemons_mut().collect(),
                };
                let chosen = self.dice.below(daemons.len());
                let daemon = daemons.into_iter().nth(chosen).expect("chosen among them");
                daemon.kill().await;
                sleep(away).await;
                daemon.start().await
            }
            Fault::KillRedis | Fault::KillEtcd => self.kill_store(fault).await,
            Fault::Pause => {
                let (pause, count) = (self.up_to(4000), self.deployment.daemons().count());
                let chosen = self.dice.below(count);
                let daemon = self.deployment.daemons().nth(chosen).expect("one of them");
                daemon.signal("STOP").await?;
                sleep(pause).await;
                daemon.signal("CONT").await
            }
            Fault::PauseRedis => {
                let pause = self.up_to(3000);
                let stores = self.deployment.stores.as_mut().expect("a cluster");
                stores.redis().pause();
                sleep(pause).await;
                stores.redis().resume();
                Ok(())
            }
            Fault::DrainServer => {
                let chosen = self.dice.below(self.deployment.servers.len());
                let server = &mut self.deployment.servers[chosen];
                let status = server.daemon.stop(DRAIN_WITHIN).await?;
                anyhow::ensure!(status.success(), "a drained server ended with {status}");
                server.daemon.start().await
            }
            Fault::CutClients => {
                let mut dice = self.dice.clone();
                for link in self.deployment.client_links() {
                    link.cut_where(|_| dice.percent(50));
                }
                self.dice = dice;
                Ok(())
            }
            Fault::CutEverything => {
                for link in self.deployment.links() {
                    link.cut();
                }
                Ok(())
            }
            Fault::StallLink => self.spoil(Flow::stalled()).await,
            Fault::SwallowLink => self.spoil(Flow::swallowed()).await,
        }
    }

    async fn kill_store(&mut self, fault: Fault) -> anyhow::Result<()> {
        let away = self.up_to(2000);
        let stores = self.deployment.stores.as_mut().expect("a cluster");
        if fault == Fault::KillEtcd {
            stores.etcd.kill();
            sleep(away).await;
            stores.etcd.restart().await;
        } else {
            stores.redis().kill();
            sleep(away).await;
            stores.redis().restart().await;
        }
        Ok(())
    }

    /// Spoils one way for a while, in one direction or both. What was swallowed is gone, so the
    /// connections that lost bytes must not go on afterwards: they are cut.
    async fn spoil(&mut self, flow: Flow) -> anyhow::Result<()> {
        let (time, direction) = (self.up_to(4000), self.dice.below(3));
        let flows = match direction {
            0 => Flows::both(flow),
            1 => Flows {
                up: flow,
                ..Flows::default()
            },
            _ => Flows {
                down: flow,
                ..Flows::default()
            },
        };
        let links: Vec<&Proxy> = self.deployment.links();
        let link = links[self.dice.below(links.len())];
        link.set(flows);
        sleep(time).await;
        if flow.is_swallowed {
            link.cut();
        }
        link.heal();
        Ok(())
    }

    fn up_to(&mut self, millis: usize) -> Duration {
        Duration::from_millis(self.dice.below(millis) as u64)
    }
}

fn daemons_of<T>(
    nodes: &mut [T],
    daemon: fn(&mut T) -> &mut im_tests::deployment::Daemon,
) -> Vec<&mut im_tests::deployment::Daemon> {
    nodes.iter_mut().map(daemon).collect()
}
