//! The table of figures.

use std::fmt;

use im_tests::circumstances::Circumstances;

use crate::measures::{Bound, Measure, Row};

/// Every figure, beside its bound.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<String>,
}

impl Table {
    /// Adds a figure.
    pub(crate) fn add(&mut self, measure: &Measure, row: &Row, figure: f64) {
        let Row {
            what,
            how,
            bound,
            unit,
        } = row;
        let (bound, held) = match bound {
            Bound::AtMost(most) => (format!("<= {most} {unit}"), verdict(figure <= *most)),
            Bound::AtLeast(least) => (format!(">= {least} {unit}"), verdict(figure >= *least)),
            Bound::None => (String::new(), ""),
        };
        let line =
            format!("| `{measure}` | {what} | {how} | {bound} | {figure:.1} {unit} | {held} |");
        self.lines.push(line);
    }
}

const fn verdict(is_held: bool) -> &'static str {
    match is_held {
        true => "yes",
        false => "**no**",
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Circumstances {
            date,
            commit,
            build,
            machine,
            ..
        } = Circumstances::now();
        writeln!(
            f,
            "{date}, commit {commit}, {build} build of the benchmark, {machine}.\n"
        )?;
        writeln!(f, "| measure | what | how | bound | measured | held |")?;
        writeln!(f, "| --- | --- | --- | --: | --: | --- |")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_its_bound() {
        let mut table = Table::default();
        for (bound, figure) in [
            (Bound::AtMost(8.0), 7.96),
            (Bound::AtMost(8.0), 8.04),
            (Bound::AtLeast(8.0), 7.0),
            (Bound::None, 1.0),
        ] {
            let row = Row {
                what: "keys",
                how: "typed",
                bound,
                unit: "ms",
            };
            table.add(&Measure::Echo, &row, figure);
        }
        assert_eq!(
            table.lines,
            [
                "| `echo` | keys | typed | <= 8 ms | 8.0 ms | yes |",
                "| `echo` | keys | typed | <= 8 ms | 8.0 ms | **no** |",
                "| `echo` | keys | typed | >= 8 ms | 7.0 ms | **no** |",
                "| `echo` | keys | typed |  | 1.0 ms |  |",
            ]
        );
    }
}
