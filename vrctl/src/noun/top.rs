//! `vrctl top`: rates, as they are now.

mod sample;
mod screen;
mod view;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use crate::failure::Failure;
use crate::session::{Form, Session};
use sample::Sample;
use screen::{Key, Screen};

/// How often, and in which order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    interval: u32,
    /// Which vifs come first; p, b, d and n choose it on the screen.
    #[arg(long, value_enum, default_value_t = Order::Packets)]
    sort: Order,
    /// Prints one view and ends.
    #[arg(long)]
    once: bool,
}

/// Order of the vifs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    Packets,
    Bits,
    Drops,
    Name,
}

impl Args {
    /// Shows rates until it is ended.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let interval = Duration::from_secs(self.interval.into());
        if self.once {
            let before = Sample::take(session)?;
            std::thread::sleep(interval);
            let rates = rates(session, &before, &Sample::take(session)?)?;
            return session.answer_with("/vifs", rates, |rates| view::text(rates, self.sort));
        }
        if session.form != Form::Table {
            let detail = "--output is for `vrctl top --once`: a screen is for people".to_owned();
            return Err(Failure::BadArgument(detail));
        }
        if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
            return Err(Failure::NoTerminal);
        }
        self.watch(session, interval)
    }

    fn watch(&self, session: &Session, interval: Duration) -> Result<(), Failure> {
        let mut order = self.sort;
        let mut before = Sample::take(session)?;
        let mut shown: Option<Value> = None;
        let mut screen = Screen::open()?;
        screen.draw("the first rates come in a moment; q ends this\n")?;
        let mut due = Instant::now() + interval;
        loop {
            match screen.key(due.saturating_duration_since(Instant::now()))? {
                Some(Key::End) => return Ok(()),
                Some(Key::Order(chosen)) => order = chosen,
                Some(Key::Resized) => {}
                None => {
                    let after = Sample::take(session)?;
                    shown = Some(rates(session, &before, &after)?);
                    before = after;
                    due = Instant::now() + interval;
                }
            }
            if let Some(rates) = &shown {
                screen.draw(&session.expect("/vifs", view::text(rates, order))?)?;
            }
        }
    }
}

fn rates(session: &Session, before: &Sample, after: &Sample) -> Result<Value, Failure> {
    session.expect("/vifs", sample::rates(before, after))
}
