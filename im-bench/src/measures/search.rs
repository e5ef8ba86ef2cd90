//! How long finding something among everything that was ever said takes.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use im_client::cli::archive::{Archive, Query};
use im_client::{
    ConversationId, DeviceId, Identity, LogEpoch, Message, MessageId, Sequence, UserId, UserName,
};
use im_common::message::StoredMessage;
use im_tests::dice::Dice;
use tokio::time::Instant;

use super::{Bound, Row};
use crate::figures::percentile_ms;
use crate::stage::Stage;

const MESSAGES: u64 = 1_000_000;
const SEARCHES: usize = 200;
/// As many as `im search` prints.
const FOUND_MAX: usize = 100;
const PEOPLE: usize = 1_000;
/// How many words there are. The rank of each says how seldom it is, as in any language.
const WORDS: u32 = 50_000;
const WORDS_OF_A_TEXT: usize = 8;
/// The first of January 2024.
const BEGAN_AT_MS: u64 = 1_704_067_200_000;
/// All of it is said in some two years.
const PAUSE_MS: u64 = 63_000;
/// Any archive does; it is the same each time.
const SEED: u64 = 7;

pub(crate) const ROWS: &[Row] = &[
    Row {
        what: "search by words among a million messages, p95",
        how: "200 searches for the newest 100: one or two words, often the beginning of one; each opens the archive anew",
        bound: Bound::AtMost(100.0),
        unit: "ms",
    },
    Row {
        what: "search by person, p95",
        how: "as above: what somebody said, or what was said with them, every other time with a word",
        bound: Bound::AtMost(100.0),
        unit: "ms",
    },
    Row {
        what: "search by time, p95",
        how: "as above: a word within a week, or before a day",
        bound: Bound::AtMost(100.0),
        unit: "ms",
    },
];

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let file = stage.shared_file("archive.db");
    if !file.exists() {
        fill(&file).await?;
    }
    let mut dice = Dice::new(SEED);
    let mut figures = Vec::new();
    for question in [by_words, by_person, by_time] {
        let mut times = Vec::with_capacity(SEARCHES);
        for _ in 0..SEARCHES {
            times.push(search(&file, &question(&mut dice)).await?);
        }
        figures.push(percentile_ms(&times, 0.95));
    }
    Ok(figures)
}

/// Asks as `im search` does: nothing is open, and nothing in the memory of the program.
async fn search(file: &Path, question: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let query: Query = question.parse()?;
    let archive = Archive::open(file)?;
    let found = archive.search(&query, None, FOUND_MAX).await?;
    let took = begun.elapsed();
    anyhow::ensure!(found.messages.len() <= FOUND_MAX, "too many for {question}");
    archive.close().await;
    Ok(took)
}

async fn fill(file: &Path) -> anyhow::Result<()> {
    let archive = Archive::open(file)?;
    let people: Vec<Identity> = (0..=PEOPLE).map(person).collect::<anyhow::Result<_>>()?;
    let reader = &people[0];
    let mut places = vec![0; people.len()];
    let mut dice = Dice::new(SEED);
    for number in 0..MESSAGES {
        let peer = 1 + dice.below(PEOPLE);
        // Every other one in the lobby, the rest in private, where the reader speaks as well.
        let (conversation, place) = match dice.percent(50) {
            true => (ConversationId::Lobby, 0),
            false => (
                ConversationId::private(reader.user, people[peer].user),
                peer,
            ),
        };
        let is_own = place > 0 && dice.percent(50);
        places[place] += 1;
        let message = StoredMessage {
            conversation,
            epoch: LogEpoch(1),
            sequence: Sequence(places[place]),
            id: MessageId::from_bytes(&u128::from(number).to_be_bytes())?,
            sender: people[if is_own { 0 } else { peer }].clone(),
            accepted_at_ms: BEGAN_AT_MS + number * PAUSE_MS,
            text: text(&mut dice),
        };
        archive.record(reader, Message::from(message)).await;
        if (number + 1).is_multiple_of(MESSAGES / 10) {
            eprintln!("search: {} of {MESSAGES} messages are kept", number + 1);
        }
    }
    match archive.close().await {
        None => Ok(()),
        Some(trouble) => anyhow::bail!("cannot build the archive: {trouble}"),
    }
}

/// The reader is the first.
fn person(number: usize) -> anyhow::Result<Identity> {
    Ok(Identity {
        user: UserId::new(number as u64 + 1)?,
        name: UserName::new(&name(number))?,
        device: DeviceId::new("phone").context("a device")?,
    })
}

fn name(number: usize) -> String {
    format!("person-{number}")
}

fn text(dice: &mut Dice) -> String {
    let words: Vec<String> = (0..WORDS_OF_A_TEXT).map(|_| word(dice)).collect();
    words.join(" ")
}

/// A word as often as it is said: by Zipf's law, half as often as the one of half its rank.
fn word(dice: &mut Dice) -> String {
    let chance = dice.below(1 << 30) as f64 / f64::from(1 << 30);
    spelt(f64::from(WORDS).powf(chance) as u32)
}

/// Syllables, so that beginnings are shared as those of words are.
fn spelt(mut rank: u32) -> String {
    let mut word = String::new();
    while rank > 0 {
        let (consonant, vowel) = (rank % 16, rank / 16 % 5);
        word.push(char::from(b"bcdfghjklmnprstw"[consonant as usize]));
        word.push(char::from(b"aeiou"[vowel as usize]));
        rank /= 80;
    }
    word
}

fn by_words(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => word(dice),
        1 => format!("{} {}", word(dice), word(dice)),
        _ => word(dice).chars().take(3).collect(),
    }
}

fn by_person(dice: &mut Dice) -> String {
    let name = name(1 + dice.below(PEOPLE));
    let filter = dice.pick(&["from", "in"]);
    match dice.percent(50) {
        true => format!("{filter}:{name}"),
        false => format!("{filter}:{name} {}", word(dice)),
    }
}

fn by_time(dice: &mut Dice) -> String {
    let (year, month) = (2024 + dice.below(2), 1 + dice.below(12));
    let day = 1 + dice.below(21);
    let until = format!("{year}-{month:02}-{:02}", day + 7);
    match dice.percent(50) {
        true => format!("{} before:{until}", word(dice)),
        false => format!(
            "{} after:{year}-{month:02}-{day:02} before:{until}",
            word(dice)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_one() {
        let mut dice = Dice::new(SEED);
        for question in [by_words, by_person, by_time] {
            for _ in 0..SEARCHES {
                let asked = question(&mut dice);
                asked.parse::<Query>().expect(&asked);
            }
        }
    }

    #[test]
    fn some_words_are_said_far_more_often_than_others() {
        let mut dice = Dice::new(SEED);
        let said: Vec<String> = (0..100_000).map(|_| word(&mut dice)).collect();
        let times = |rank| said.iter().filter(|word| **word == spelt(rank)).count();
        assert!(times(1) > 1_000 && times(10) < times(1) / 2, "{}", times(1));
        assert!(times(10_000) < 20, "{}", times(10_000));
    }
}
