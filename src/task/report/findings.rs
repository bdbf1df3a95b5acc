//! From findings to tables, and to the rows that the page shows.

use super::{Gather, columns};
use crate::{
    format::tsv::Table,
    report::{FindingRow, Page, Value},
    task::{
        TaskError, Workbench, architecture,
        finding::{self, Absent, Finding, Statistic},
        group, recovery,
    },
};

/// Subjects from which on sign flips can reach a probability of 0.05: two of 2^6 arrangements.
const LEAST_GROUP: usize = 6;

impl Gather {
    /// Every finding as a table, on the page those of the group, or of the subjects where it has too few.
    pub(super) fn findings(&self, bench: &Workbench<'_>, page: &mut Page) -> Result<(), TaskError> {
        let mut table = Table::new(["subject"].into_iter().chain(finding::COLUMNS));
        let of_subject = bench.inputs("findings").len() / self.subjects.len().max(1);
        for (subject, artifacts) in self.subjects.iter().zip(bench.inputs("findings").chunks(of_subject.max(1))) {
            let found =
                artifacts.iter().map(|artifact| finding::read_findings(artifact)).collect::<Result<Vec<_>, _>>()?;
            let mut found = found.concat();
            found.sort_by_key(|found| found.statistic);
            for found in found {
                table.push([subject.clone()].into_iter().chain(finding::cells(&found)));
                // Scores of single layers are in heat maps.
                let is_of_layer = found.statistic == Statistic::Prediction && found.part.contains('/');
                if !self.has_group_rows() && !is_of_layer {
                    page.findings.push(finding_row(subject, &found));
                }
            }
        }
        columns::write(bench, "findings", &table)?;
        if let Some(group) = bench.inputs("group").first() {
            let found = Table::read(&group.join(group::FINDINGS))?;
            if self.has_group_rows() {
                page.findings = group_rows(&found)?;
            }
            columns::write(bench, "group", &found)?;
        }
        let mut recovered = Table::new(["subject"].into_iter().chain(recovery::COLUMNS));
        for (subject, artifact) in self.subjects.iter().zip(bench.inputs("recovery")) {
            for row in Table::read(&artifact.join(recovery::RECOVERY))?.rows() {
                recovered.push([subject.clone()].into_iter().chain(row.iter().cloned()));
            }
        }
        if recovered.n_rows() > 0 {
            columns::write(bench, "recovery", &recovered)?;
        }
        for (subject, artifact) in self.subjects.iter().zip(bench.inputs("architecture")) {
            let variance = Table::read(&artifact.join(architecture::VARIANCE))?;
            if variance.n_rows() > 0 {
                columns::write(bench, &format!("{subject}_branch_variance"), &variance)?;
            }
        }
        Ok(())
    }

    /// Whether there is a group that says more than its subjects do: with fewer, no flip of signs is ever rare.
    fn has_group_rows(&self) -> bool {
        self.has_group && self.subjects.len() >= LEAST_GROUP
    }
}

fn finding_row(subject: &str, found: &Finding) -> FindingRow {
    let why = found.absent.map_or("not measured", Absent::words);
    let optional = |value: Option<f64>| value.map_or_else(|| Value::absent(why), Value::from);
    FindingRow {
        statistic: found.statistic.name().to_owned(),
        meaning: found.statistic.meaning().to_owned(),
        subject: subject.to_owned(),
        model: found.model.clone(),
        part: found.part.clone(),
        network: found.network.clone(),
        value: optional(found.value),
        interval: found.interval,
        chance: found.null.map_or_else(|| Value::absent("not measured"), |(mean, _)| Value::from(mean)),
        p: found.p.map_or_else(|| Value::absent(found.statistic.null()), Value::from),
        q: found.q.map_or_else(|| Value::absent(found.statistic.null()), Value::from),
    }
}

/// Findings over subjects, but for those of single layers.
fn group_rows(table: &Table) -> Result<Vec<FindingRow>, TaskError> {
    let column = |name: &str| table.require(name);
    let (statistic, model, part) = (column("statistic")?, column("model")?, column("part")?);
    let (network, absent) = (column("network")?, column("absent")?);
    let number = |name: &str| table.numbers(name);
    let (mean, low, high, chance) = (number("mean")?, number("low")?, number("high")?, number("null_mean")?);
    let (p, q) = (number("flip_p")?, number("q")?);
    let n_subjects = table.counts("n_subjects")?;
    let mut rows = Vec::new();
    for (at, cells) in table.rows().iter().enumerate() {
        let is_of_layer = cells[statistic] == Statistic::Prediction.name() && cells[part].contains('/');
        let Some(known) =
            Statistic::ALL.into_iter().find(|known| known.name() == cells[statistic]).filter(|_| !is_of_layer)
        else {
            continue;
        };
        let why =
            Absent::ALL.into_iter().find(|reason| reason.name() == cells[absent]).map_or("not tested", Absent::words);
        let optional = |value: Option<f64>| value.map_or_else(|| Value::absent(why), Value::from);
        rows.push(FindingRow {
            statistic: known.name().to_owned(),
            meaning: known.meaning().to_owned(),
            subject: format!("group of {}", n_subjects[at]),
            model: cells[model].clone(),
            part: cells[part].clone(),
            network: cells[network].clone(),
            value: optional(mean[at]),
            interval: low[at].zip(high[at]),
            chance: optional(chance[at]),
            p: optional(p[at]),
            q: optional(q[at]),
        });
    }
    Ok(rows)
}
