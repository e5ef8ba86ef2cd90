//! `im man`: the manual pages, made from the help.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use rust_i18n::t;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::help;
use crate::cli::screen::Screen;

/// Prints the page of `im`, or writes it and those of the subcommands into a folder.
pub(in crate::cli) async fn run(folder: Option<&Path>) -> Result<Exit, Failure> {
    let command = help::command();
    let said = match folder {
        None => page(command)?,
        Some(folder) => {
            let count = write_all(&command, folder)?;
            let folder = folder.display();
            format!("{}\n", t!("man.written", count = count, folder = folder))
        }
    };
    // Whoever stops reading has read enough.
    let _ = Screen::plain()?.print(said).await;
    Ok(Exit::Done)
}

fn page(command: Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn write_all(command: &Command, folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("im.1"), page(command.clone())?)?;
    let subcommands = command.get_subcommands();
    let subcommands = subcommands.filter(|subcommand| subcommand.get_name() != "help");
    let mut count = 1;
    for subcommand in subcommands {
        let name = format!("im-{}", subcommand.get_name());
        let path = folder.join(format!("{name}.1"));
        fs::write(path, page(subcommand.clone().name(name))?)?;
        count += 1;
    }
    Ok(count)
}
