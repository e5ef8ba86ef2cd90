//! Many messages through many faults: everybody sends as fast as messages are accepted, something
//! breaks every few seconds, and the first broken promise ends it.

mod injector;

use std::sync::Arc;
use std::time::Duration;

use im_common::tasks::Tasks;
use im_tests::circumstances::Circumstances;
use im_tests::deployment::{Deployment, Plan};
use im_tests::dice::Dice;
use im_tests::history::{Actor, History, Verdict};
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval};

use crate::load::{Load, recipient};
use crate::options::CampaignOptions;
use crate::results::{self, CampaignResult, Entry, Outcome, Sums};
use crate::runner;
use injector::Injector;

/// How often a person is told how it goes.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How long everything may take to arrive in the end.
const SETTLE_WITHIN: Duration = Duration::from_secs(120);
/// Without an accepted message for so long, the campaign is stuck: longer than any fault lasts.
const STUCK_AFTER: Duration = Duration::from_secs(90);
/// Deliveries that may be outstanding before everybody waits: the campaign is about faults, and a
/// flood would have all readers live on pages from the logs.
const OWED_MAX: u64 = 10_000;
/// How often somebody who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Runs a campaign; returns whether everything held.
pub(crate) async fn run(options: &CampaignOptions) -> anyhow::Result<bool> {
    let name = format!("campaign-{}-{}", options.profile, options.seed);
    let folder = runner::empty(options.place.folder.join(name))?;
    let binaries = options.place.binaries()?;
    let plan = Plan::new(options.profile, binaries, folder.clone());
    let history = History::new(options.seed);
    let deployment = Deployment::start(plan).await?;
    let load = Load::gather(&history, &deployment.urls(), options.users).await;
    let mut injector = Injector::new(deployment, history.clone(), Dice::new(options.seed));
    let began = Instant::now();
    let sending = Sending::start(&load, &history, options);
    let mut broken = Vec::new();
    if let Err(error) = drive(options, &history, &mut injector).await {
        broken.push(format!("{error:#}"));
    }
    let took = began.elapsed();
    sending.stop().await;
    injector.deployment.heal().await?;
    if broken.is_empty() && !history.settle(SETTLE_WITHIN).await {
        broken.push(format!("not settled within {SETTLE_WITHIN:?}"));
    }
    broken.extend(injector.deployment.alarms(|_| false));
    let verdict = history.verdict();
    let is_held = verdict.is_sound() && broken.is_empty();
    println!(
        "{} after {took:.0?}: {verdict}",
        if is_held { "held" } else { "BROKEN" }
    );
    if is_held {
        std::fs::remove_dir_all(&folder)?;
    } else {
        std::fs::write(folder.join("history.txt"), history.dump())?;
        broken
            .iter()
            .for_each(|broken| println!("  BROKEN: {broken}"));
        println!("  logs and history: {}", folder.display());
    }
    let faults = injector.counts();
    keep(options, &verdict, (faults, broken), took)?;
    Ok(is_held)
}

/// Breaks things until enough was accepted or something is wrong.
async fn drive(
    options: &CampaignOptions,
    history: &History,
    injector: &mut Injector,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(history.clone());
    while history.accepted() < options.messages {
        progress.pass(options.fault_every, injector.faults).await?;
        injector.break_something().await?;
        anyhow::ensure!(history.violations().is_empty(), "a promise was broken");
    }
    Ok(())
}

/// Tells how it goes, and notices when it does not.
struct Progress {
    history: History,
    began: Instant,
    told: Instant,
    told_accepted: u64,
    moved: Instant,
    moved_accepted: u64,
}

impl Progress {
    fn new(history: History) -> Self {
        let now = Instant::now();
        Self {
            history,
            began: now,
            told: now,
            told_accepted: 0,
            moved: now,
            moved_accepted: 0,
        }
    }

    /// Lets time pass, looking on.
    async fn pass(&mut self, time: Duration, faults: u64) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        let mut look = interval(Duration::from_millis(250));
        while Instant::now() < until {
            look.tick().await;
            let accepted = self.history.accepted();
            if accepted > self.moved_accepted {
                (self.moved, self.moved_accepted) = (Instant::now(), accepted);
            }
            let is_stuck = self.moved.elapsed() > STUCK_AFTER;
            anyhow::ensure!(!is_stuck, "nothing was accepted for {STUCK_AFTER:?}");
            let violations = self.history.violations().len();
            anyhow::ensure!(violations == 0, "a promise was broken");
            if self.told.elapsed() >= TELL_EVERY {
                self.tell(accepted, faults);
            }
        }
        Ok(())
    }

    fn tell(&mut self, accepted: u64, faults: u64) {
        let rate = per_second(accepted - self.told_accepted, self.told.elapsed());
        let (total, handled) = (self.began.elapsed(), self.history.handled());
        println!("{total:>6.0?} {accepted} accepted, {rate}/s, {handled} handled, {faults} faults");
        (self.told, self.told_accepted) = (Instant::now(), accepted);
    }
}

fn per_second(count: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    count * 1000 / millis
}

/// The users, each sending as fast as its window lets it.
struct Sending {
    tasks: Tasks,
}

impl Sending {
    fn start(load: &Load, history: &History, options: &CampaignOptions) -> Self {
        let tasks = Tasks::new();
        for author in 0..load.actors().len() {
            let dice = Dice::new(options.seed ^ ((author as u64 + 1) << 32));
            let stop = tasks.token();
            let author = Author {
                actors: load.shared(),
                author,
                history: history.clone(),
                dice,
            };
            let sending = author.send_on(options.window, options.lobby);
            tasks.spawn("author", async move {
                stop.run_until_cancelled(sending).await;
            });
        }
        Self { tasks }
    }

    async fn stop(self) {
        // They end where they stand, within no time.
        let _ended = self.tasks.wait(Duration::from_secs(5)).await;
    }
}

/// One user of the campaign.
struct Author {
    actors: Arc<[Actor]>,
    author: usize,
    history: History,
    dice: Dice,
}

impl Author {
    async fn send_on(mut self, window: usize, lobby: usize) {
        let window = Arc::new(Semaphore::new(window));
        loop {
            while self.history.owed() > OWED_MAX {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let to = recipient(&self.actors, self.author, &mut self.dice, lobby);
            self.actors[self.author].send_within(&window, to).await;
        }
    }
}

fn keep(
    options: &CampaignOptions,
    verdict: &Verdict,
    (faults, broken): (Vec<(String, u64)>, Vec<String>),
    took: Duration,
) -> anyhow::Result<()> {
    let is_held = verdict.is_sound() && broken.is_empty();
    let result = CampaignResult {
        profile: options.profile.to_string(),
        seed: options.seed,
        users: options.users,
        seconds: took.as_secs(),
        per_second: per_second(verdict.accepted, took),
        faults,
        outcome: if is_held {
            Outcome::Held
        } else {
            Outcome::Broken
        },
        sums: Sums::from(verdict),
        broken,
        at: Circumstances::now(),
    };
    results::append(&options.place.results(), &Entry::Campaign(result))
}
