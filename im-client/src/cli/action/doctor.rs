//! `im doctor`: a report to look at or to paste.

use crate::cli::Settled;
use crate::cli::doctor::{self, Finding, Verdict, connection, folders, history, routes, terminal};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::{json, safe};
use crate::cli::screen::{Gone, Screen};
use crate::cli::signals::until_signal;

/// Checks everything, and succeeds if nothing is at fault.
pub(in crate::cli) async fn run(settled: &Settled, json: bool) -> Result<Exit, Failure> {
    let mut report = Report {
        screen: Screen::plain()?,
        json,
        worst: Exit::Done,
    };
    // Whoever stops reading has read enough.
    let _ = until_signal(async { Ok(check(settled, &mut report).await) }).await?;
    Ok(report.worst)
}

async fn check(settled: &Settled, report: &mut Report) -> Result<(), Gone> {
    let account = &settled.line.account;
    report.add(vec![doctor::program()]).await?;
    report
        .add(terminal::check(settled.line.manners.colour))
        .await?;
    let broken = settled.broken.as_ref();
    report
        .add(vec![folders::configuration(account, broken)])
        .await?;
    report.add(folders::state()).await?;
    report.add(vec![history::check(account).await]).await?;
    for route in &account.routes {
        report.add(routes::check(route).await).await?;
    }
    report.add(vec![connection::check(account).await]).await
}

/// What was found so far. Each line is printed as soon as it is known: some checks take a while.
struct Report {
    screen: Screen,
    json: bool,
    worst: Exit,
}

impl Report {
    async fn add(&mut self, findings: Vec<Finding>) -> Result<(), Gone> {
        for finding in findings {
            if finding.verdict == Verdict::Fault {
                self.worst = Exit::Fixable;
            }
            let line = match self.json {
                true => json::line(&finding),
                false => text(&finding),
            };
            self.screen.print(line).await?;
        }
        Ok(())
    }
}

fn text(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Well => "ok   ",
        Verdict::Note => "note ",
        Verdict::Fault => "FAULT",
    };
    let detail = safe::line(&finding.detail);
    format!("{mark}  {:<14} {detail}\n", finding.check)
}
