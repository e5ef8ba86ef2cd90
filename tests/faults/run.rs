//! One run of one scenario: what it works with, and what it finds.

use std::collections::HashSet;
use std::time::Duration;

use im_client::{Client, ConnectionState};
use im_tests::deployment::{Daemon, Deployment, Plan, Profile};
use im_tests::dice::Dice;
use im_tests::history::{Actor, ActorIx, History, Verdict};
use im_tests::user::PASSWORD;
use tokio::time::{Instant, sleep, timeout};

use crate::guests::Guests;
use crate::load::Load;
use crate::options::RunOptions;
use crate::outages::{Outages, percentile};

/// How long everything may take to arrive once the cluster is whole again.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// How long lists of who is online may take to be right: a lease and a little.
const PRESENCE_WITHIN: Duration = Duration::from_secs(15);
/// How long a login on a fresh device may take when all is well again.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// So many users try it.
const LOGINS_TRIED: usize = 5;
/// Under load before the first fault, so that there is something to compare with.
const WARM_UP: Duration = Duration::from_secs(2);

/// What a scenario works with.
pub(crate) struct Run {
    /// How it was asked for.
    pub(crate) options: RunOptions,
    /// Everything that runs.
    pub(crate) deployment: Deployment,
    /// What happened to every message.
    pub(crate) history: History,
    /// Users, and what they send.
    pub(crate) load: Load,
    /// Users of CIM, where a scenario has some. They stay until the end.
    pub(crate) guests: Option<Guests>,
    /// Random choices, by the seed.
    pub(crate) dice: Dice,
    /// What was found.
    pub(crate) findings: Findings,
    outages: Outages,
    expected: Vec<&'static str>,
    /// How many faults were noted.
    faults: usize,
}

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Promises and bounds that were broken, beside those of the history.
    pub(crate) broken: Vec<String>,
    /// What else is worth telling.
    pub(crate) notes: Vec<String>,
    /// How long each client that was hit took to be back.
    pub(crate) recovery: Vec<Duration>,
    /// Users who could not be online in the end.
    pub(crate) locked_out: u64,
}

impl Run {
    /// Starts the cluster, brings the users in and lets them talk for a moment.
    pub(crate) async fn prepare(
        options: &RunOptions,
        plan: Plan,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut dice = Dice::new(seed);
        let history = History::new(seed);
        let deployment = Deployment::start(plan).await?;
        let mut load = Load::gather(&history, &deployment.urls(), options.users).await;
        load.start(options.rate, Dice::new(dice.roll()));
        sleep(WARM_UP).await;
        Ok(Self {
            options: options.clone(),
            outages: Outages::watch(load.actors()),
            deployment,
            history,
            load,
            guests: None,
            dice,
            findings: Findings::default(),
            expected: Vec::new(),
            faults: 0,
        })
    }

    /// In which profile.
    pub(crate) const fn profile(&self) -> Profile {
        self.deployment.plan.profile
    }

    /// Notes that something is done to the cluster, and when.
    pub(crate) fn fault(&mut self, what: &str) -> Instant {
        self.history.fault(what);
        self.faults += 1;
        Instant::now()
    }

    /// Lets the load go on for so long.
    pub(crate) async fn load_for(&self, time: Duration) {
        sleep(time).await;
    }

    /// `long` when the catalogue's own length is asked for, else `short`.
    pub(crate) const fn stretch(&self, short: Duration, long: Duration) -> Duration {
        if self.options.long { long } else { short }
    }

    /// One of so many, by the seed.
    pub(crate) fn choose(&mut self, count: usize) -> usize {
        self.dice.below(count)
    }

    /// The processes may say this in an error: the fault is what it tells of.
    pub(crate) fn expect_error(&mut self, part: &'static str) {
        self.expected.push(part);
    }

    /// A promise that was kept or not.
    pub(crate) fn check(&mut self, is_kept: bool, promise: impl Into<String>) {
        if !is_kept {
            self.findings.broken.push(promise.into());
        }
    }

    /// A time that has a bound.
    pub(crate) fn bound(&mut self, what: &str, measured: Duration, bound: Duration) {
        self.note(format!("{what} {measured:.1?}"));
        if !self.options.no_bounds {
            self.check(
                measured <= bound,
                format!("{what} {measured:.1?} > {bound:?}"),
            );
        }
    }

    /// Something worth telling.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.findings.notes.push(note.into());
    }

    /// Takes how long each client that lost its connection since `fault` took to have one again,
    /// and holds the median and the 99th percentile against bounds.
    pub(crate) fn recovered(&mut self, fault: Instant, p50: Duration, p99: Duration) {
        let recovery = self.outages.recovered_since(fault);
        let lost = self.outages.lost_since(fault);
        self.note(format!("{lost} clients lost their connection"));
        if let (Some(median), Some(most)) = (percentile(&recovery, 50), percentile(&recovery, 99)) {
            self.bound("recovery p50", median, p50);
            self.bound("recovery p99", most, p99);
        }
        self.findings.recovery.extend(recovery);
    }

    /// Holds how long sends took to be accepted since the last fault against a bound.
    pub(crate) fn accepted_within(&mut self, p99: Duration) {
        self.others_accepted_within(&HashSet::new(), p99);
    }

    /// The same, without the users whom the fault is about.
    pub(crate) fn others_accepted_within(&mut self, without: &HashSet<ActorIx>, p99: Duration) {
        let since = self.history.latencies(self.faults).into_iter();
        let others = since.filter(|(author, _)| !without.contains(author));
        let micros = others.map(|(_, micros)| Duration::from_micros(micros.into()));
        if let Some(most) = percentile(&micros.collect::<Vec<_>>(), 99) {
            self.bound("accepted p99", most, p99);
        }
    }

    /// The users whose connections one of the servers holds now.
    pub(crate) fn users_on(&self, server: usize) -> HashSet<ActorIx> {
        let is_there = |actor: &&Actor| {
            let state = actor.state().borrow().clone();
            let id = state.server().map(ToString::to_string);
            id.is_some_and(|id| self.deployment.server_by_id(&id) == Some(server))
        };
        let there = self.load.actors().iter().filter(is_there);
        there.map(Actor::ix).collect()
    }

    /// The clients must all have kept their connections since `fault`.
    pub(crate) fn nobody_lost(&mut self, fault: Instant) {
        let lost = self.lost(fault);
        self.check(lost == 0, format!("{lost} clients lost their connection"));
    }

    /// No process of ours may use more memory than this.
    pub(crate) fn check_memory(&mut self, mebibytes: u64) {
        let figures = self.deployment.daemons().filter_map(Daemon::figures);
        let most = figures
            .map(|figures| figures.rss_bytes >> 20)
            .max()
            .unwrap_or(0);
        self.note(format!("at most {most} MiB resident"));
        self.check(
            most <= mebibytes,
            format!("{most} MiB resident > {mebibytes} MiB"),
        );
    }

    /// Logs a user of the load in on another device; nobody reads its messages.
    pub(crate) async fn log_in(
        &self,
        user: usize,
        device: &str,
        within: Duration,
    ) -> Result<Client, im_client::Error> {
        let name = self.load.actors()[user].name().to_string();
        let mut builder = Client::builder().user(name).password(PASSWORD);
        for url in self.deployment.urls() {
            builder = builder.route(url);
        }
        builder
            .device(device)
            .connect_timeout(within)
            .connect()
            .await
    }

    /// Logs in on a device that nobody uses, and holds the time against a bound.
    pub(crate) async fn logs_in_within(&mut self, bound: Duration) {
        let user = self.choose(self.load.actors().len());
        let began = Instant::now();
        match self.log_in(user, "timed", SETTLE_WITHIN).await {
            Ok(client) => {
                self.bound("login", began.elapsed(), bound);
                client.close().await;
            }
            Err(error) => self.check(false, format!("no login: {error}")),
        }
    }

    /// How long each interruption since `fault` took.
    pub(crate) fn gaps(&self, fault: Instant) -> Vec<Duration> {
        self.outages.gaps_since(fault)
    }

    /// How many users lost their connection since `fault`.
    pub(crate) fn lost(&self, fault: Instant) -> usize {
        self.outages.lost_since(fault)
    }

    /// Waits until every user of the load is attached; returns whether that came to pass.
    pub(crate) async fn all_attached(&self, within: Duration) -> bool {
        let all = async {
            for actor in self.load.actors() {
                let mut state = actor.state();
                if state.wait_for(ConnectionState::is_attached).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(within, all).await.is_ok()
    }

    /// The end: everything works again, everything arrives, everybody can be online.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<Verdict> {
        self.load.stop();
        self.deployment.heal().await?;
        if !self.history.settle(SETTLE_WITHIN).await {
            self.check(false, format!("not settled within {SETTLE_WITHIN:?}"));
        }
        self.check_attached().await;
        self.check_logins().await;
        self.check_presence().await;
        let expected = self.expected.clone();
        let is_expected = |line: &str| expected.iter().any(|part| line.contains(part));
        let alarms = self.deployment.alarms(is_expected);
        self.findings.broken.extend(alarms);
        let verdict = self.history.verdict();
        // All that is sent is fit to be stored: a refusal for good would be wrong.
        self.check(
            verdict.refused == 0,
            format!("{} sends refused", verdict.refused),
        );
        Ok(verdict)
    }

    async fn check_attached(&mut self) {
        if self.all_attached(LOGIN_WITHIN).await {
            return;
        }
        let actors = self.load.actors().iter();
        let out: Vec<&Actor> = actors.filter(|actor| !actor.is_attached()).collect();
        let locked_out = out.len();
        let example = out
            .first()
            .map(|actor| format!("{}: {:?}", actor.name(), *actor.state().borrow()));
        self.findings.locked_out += u64::try_from(locked_out).expect("a count fits");
        self.check(
            locked_out == 0,
            format!("{locked_out} not attached, {example:?}"),
        );
    }

    /// Nobody may be kept out by what is left of earlier connections.
    async fn check_logins(&mut self) {
        for _ in 0..LOGINS_TRIED {
            let user = self.choose(self.load.actors().len());
            let name = self.load.actors()[user].name().to_string();
            match self.log_in(user, "fresh", LOGIN_WITHIN).await {
                Ok(client) => client.close().await,
                Err(error) => {
                    self.findings.locked_out += 1;
                    self.check(false, format!("{name} cannot log in: {error}"));
                }
            }
        }
    }

    /// Everybody is listed online who is, and nobody else.
    async fn check_presence(&mut self) {
        let deadline = Instant::now() + PRESENCE_WITHIN;
        let expected = self.load.actors().len();
        loop {
            let listed = self.load.actors()[0]
                .client()
                .online("user-", None, 1000)
                .await;
            let found = match &listed {
                Ok(page) if !page.partial && page.users.len() == expected => return,
                Ok(page) => format!("{} listed, partial {}", page.users.len(), page.partial),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return self.check(false, format!("online: {found}, not {expected}"));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}
