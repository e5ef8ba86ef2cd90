//! Runs scenarios a few at a time, each with threads of its own, and tells how it went.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use im_tests::dice::Dice;
use parking_lot::Mutex as Lock;
use tokio::runtime::Runtime;
use tokio::time::{Instant, interval, timeout};

use crate::options::Options;
use crate::resources::Resources;
use crate::scenario::{ONE, Scenario};
use crate::world::World;
use crate::{aftermath, panics};

/// A scenario that takes longer hangs: the slowest takes some ten seconds on an idle machine.
const SCENARIO_WITHIN: Duration = Duration::from_secs(180);
/// The tasks of a client that was closed only have to be told so.
const TASKS_END_WITHIN: Duration = Duration::from_secs(10);
/// Sockets and threads of crashed nodes are given back in the background.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(20);
/// What the allocator keeps of all scenarios at once; measured: some 30 MiB after 100 of them.
const MEMORY_GROWS_BY_KIB: usize = 96 * 1024;
/// The end of a history is what explains a failure.
const DUMP_LINES: usize = 80;

/// Runs them all, and returns whether everything held.
pub(crate) fn run(chosen: &[&'static Scenario], options: &Options) -> bool {
    panics::listen();
    let began = Instant::now();
    warm_up();
    let before = Resources::now();
    say(&format!(
        "running {} scenarios, seed {}",
        chosen.len() * options.repeat,
        options.seed
    ));
    let rounds = (0..options.repeat).flat_map(|round| chosen.iter().map(move |one| (round, *one)));
    let queue = Mutex::new(rounds.collect::<VecDeque<_>>());
    let failed = Lock::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| work(&queue, &failed, options));
        }
    });
    let mut failed = failed.into_inner();
    if let Err(leak) = given_back(before) {
        say(&format!("LEAK {leak}; --jobs 1 tells which scenario"));
        failed.push("resources");
    }
    let nobodys = panics::of_nobody();
    for panic in &nobodys {
        say(&format!("PANIC {panic}"));
        failed.push("panics");
    }
    say(&format!(
        "\nstress result: {}. {} passed; {} failed{}; {}; finished in {:.1?}",
        if failed.is_empty() { "ok" } else { "FAILED" },
        (chosen.len() * options.repeat).saturating_sub(failed.len()),
        failed.len(),
        if failed.is_empty() {
            String::new()
        } else {
            format!(" ({})", failed.join(", "))
        },
        Resources::now(),
        began.elapsed()
    ));
    failed.is_empty()
}

/// What the process opens once and keeps is not a leak.
fn warm_up() {
    let warm_up = Scenario {
        name: "warm-up",
        about: "",
        shape: ONE,
        run: |world| Box::pin(async { _ = world.join(["somebody"]).await }),
    };
    apart(Box::leak(Box::new(warm_up)), 0).expect("an empty cluster starts and ends");
}

fn work(
    queue: &Mutex<VecDeque<(usize, &'static Scenario)>>,
    failed: &Lock<Vec<&'static str>>,
    options: &Options,
) {
    loop {
        let next = queue.lock().expect("no worker panics here").pop_front();
        let Some((round, scenario)) = next else {
            return;
        };
        // Each round is another one; the first is what the seed says.
        let seed = options.seed.wrapping_add(round as u64);
        let (began, before) = (Instant::now(), Resources::now());
        let mut outcome = apart(scenario, seed);
        if options.jobs == 1
            && let Err(leak) = given_back(before)
        {
            outcome = outcome.and_then(|_| Err(format!("  leak: {leak}")));
        }
        let took = began.elapsed();
        match outcome {
            Ok(about) => say(&format!(
                "ok     {:<44} {took:>7.1?}  {about}; {}",
                scenario.name,
                Resources::now()
            )),
            Err(wrong) => {
                failed.lock().push(scenario.name);
                say(&format!(
                    "FAILED {:<44} {took:>7.1?}\n{wrong}\n  again: cargo test -p im-tests --test stress -- --only {} --seed {seed}",
                    scenario.name, scenario.name
                ));
            }
        }
    }
}

/// Runs a scenario on threads that bear its name.
fn apart(scenario: &'static Scenario, seed: u64) -> Result<String, String> {
    let own_seed = Dice::seed_of(seed, scenario.name);
    let thread = std::thread::Builder::new()
        .name(scenario.name.to_owned())
        .spawn(move || alone(scenario, own_seed))
        .expect("a thread starts");
    let outcome = thread.join();
    let panics = panics::of(scenario.name).join("\n  ");
    match outcome {
        Ok(outcome) if panics.is_empty() => outcome,
        Ok(outcome) => Err(format!("  {panics}\n{}", outcome.err().unwrap_or_default())),
        Err(_) => Err(format!("  {panics}")),
    }
}

fn alone(scenario: &'static Scenario, seed: u64) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(scenario.name)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let outcome = runtime.block_on(live(scenario, seed));
    let left = tasks_left(&runtime);
    runtime.shutdown_timeout(TASKS_END_WITHIN);
    if left > 0 && outcome.is_ok() {
        return Err(format!("  {left} tasks of clients do not end"));
    }
    outcome
}

async fn live(scenario: &'static Scenario, seed: u64) -> Result<String, String> {
    let mut world = World::begin(scenario.shape, seed).await;
    let history = world.history.clone();
    let told = |wrong: &str| format!("{wrong}\n{}", end_of(&history.dump()));
    let lived = async {
        // What panics in here is caught, so that the history is told with it.
        let ran = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe((scenario.run)(
            &mut world,
        )));
        if ran.await.is_err() {
            let told = aftermath::look_into_history(&mut world).await;
            let mut wrong = told.unwrap_or_else(|locked_out| locked_out);
            wrong.push("the scenario did not get through".to_owned());
            return Err(format!("  {}", wrong.join("\n  ")));
        }
        let checked = aftermath::check(&mut world).await;
        checked.map_err(|wrong| format!("  {}", wrong.join("\n  ")))
    };
    let outcome = match timeout(SCENARIO_WITHIN, lived).await {
        Ok(outcome) => outcome.map_err(|wrong| told(&wrong)),
        Err(_) => Err(told("  it hangs")),
    };
    let leftovers = world.end().await;
    match outcome {
        Ok(_) if !leftovers.is_empty() => Err(format!("  {}", leftovers.join("\n  "))),
        outcome => outcome,
    }
}

fn tasks_left(runtime: &Runtime) -> usize {
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let ended = async {
            let mut look = interval(Duration::from_millis(10));
            while metrics.num_alive_tasks() > 0 {
                look.tick().await;
            }
        };
        timeout(TASKS_END_WITHIN, ended).await.ok();
    });
    metrics.num_alive_tasks()
}

/// Waits until files and threads are as they were, and memory nearly so.
fn given_back(before: Resources) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let now = Resources::now();
        let is_back = now.files <= before.files
            && now.threads <= before.threads
            && now.memory_kib <= before.memory_kib + MEMORY_GROWS_BY_KIB;
        if is_back {
            return Ok(());
        }
        if began.elapsed() > GIVEN_BACK_WITHIN {
            return Err(format!("{before} before, {now} after"));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn end_of(dump: &str) -> String {
    let lines: Vec<&str> = dump.lines().collect();
    let from = lines.len().saturating_sub(DUMP_LINES);
    lines[from..].join("\n")
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").ok();
}
