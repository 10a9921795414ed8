//! The steps of a run: each is timed, a failure does not stop the others, a table tells at the end.

use std::time::{Duration, Instant};

/// What became of the steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    problem: Option<String>,
    took: Duration,
}

impl Report {
    /// Runs a step; returns its value unless it failed.
    pub(crate) fn step<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Option<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = work();
        let took = start.elapsed();
        let (value, problem) = match outcome {
            Ok(value) => (Some(value), None),
            Err(problem) => {
                println!("FAILED: {problem}");
                (None, Some(problem))
            }
        };
        self.rows.push(Row { name: name.to_owned(), problem, took });
        value
    }

    /// Prints the table.
    ///
    /// # Errors
    /// When a step failed, or there was none.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("\n{}", self.table());
        let failed = self.rows.iter().filter(|row| row.problem.is_some()).count();
        match (self.rows.len(), failed) {
            (0, _) => Err("nothing was run".to_owned()),
            (_, 0) => Ok(()),
            (steps, failed) => Err(format!("{failed} of {steps} steps failed")),
        }
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut table = String::new();
        for row in &self.rows {
            let outcome = if row.problem.is_some() { "FAILED" } else { "ok" };
            let tenths = row.took.as_millis() / 100;
            let time = format!("{}.{} s", tenths / 10, tenths % 10);
            table.push_str(&format!("{:width$}  {outcome:6}  {time:>9}\n", row.name));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_run_and_lets_the_others_run() {
        let mut report = Report::default();
        assert_eq!(report.step("first", || Ok(7)), Some(7));
        assert_eq!(report.step::<()>("second one", || Err("no luck".into())), None);
        assert_eq!(report.step("third", || Ok(13)), Some(13));
        let table = report.table();
        assert!(table.contains("first       ok          0.0 s\n"), "{table}");
        assert!(table.contains("second one  FAILED      0.0 s\n"), "{table}");
        assert_eq!(report.finish(), Err("1 of 3 steps failed".into()));
    }

    #[test]
    fn a_run_of_nothing_is_a_failure() {
        assert!(Report::default().finish().is_err());
    }
}
