//! Cells of a sweep: what they have in common, and what tasks are called.
//!
//! Tasks that several cells ask for are one task, since their keys are equal. A task is called by the swept values that it
//! depends on and by no others: `extract/clip/vision/000@reduce=max` serves every number of patterns.

use super::{Cell, Plan, TaskId};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, HashMap};

impl Plan {
    /// What is added from here on belongs to a cell with these values.
    pub(super) fn begin_cell(&mut self, labels: &[String]) {
        self.cells.push(Cell { labels: labels.to_vec(), report: None });
        self.asked.clear();
    }

    /// Notes that this cell asks for a task.
    pub(super) fn ask(&mut self, place: NodeIndex) {
        let cell = self.cells.len().saturating_sub(1) as u32;
        let cells = &mut self.graph[place].cells;
        if cells.last() != Some(&cell) {
            cells.push(cell);
        }
        self.asked.push(place);
    }

    /// The tasks that this cell asked for so far.
    pub(super) fn asked(&self) -> &[NodeIndex] {
        &self.asked
    }

    /// Notes the task that answers for the whole cell.
    pub(super) fn end_cell(&mut self, report: NodeIndex) {
        self.cells.last_mut().expect("a cell was begun").report = Some(report);
    }

    /// The report of each cell, in the order of the study's cells.
    ///
    /// # Panics
    /// If the plan was not made by [`plan_study`](super::plan_study).
    pub fn reports(&self) -> impl Iterator<Item = NodeIndex> {
        self.cells.iter().map(|cell| cell.report.expect("a study's cells end in a report"))
    }

    /// Whether a task belongs to the cell with this number.
    #[must_use]
    pub fn belongs(&self, place: NodeIndex, cell: usize) -> bool {
        self.graph[place].cells.binary_search(&(cell as u32)).is_ok()
    }

    /// Adds to the name of each task the swept values that it depends on.
    pub(super) fn name_tasks(&mut self) {
        if self.cells.first().is_none_or(|cell| cell.labels.is_empty()) {
            return;
        }
        let mut families: BTreeMap<&str, Vec<NodeIndex>> = BTreeMap::new();
        for place in self.graph.node_indices() {
            families.entry(self.graph[place].id.as_str()).or_default().push(place);
        }
        let mut named = Vec::new();
        for members in families.values() {
            let cells: Vec<(u32, NodeIndex)> =
                members.iter().flat_map(|place| self.graph[*place].cells.iter().map(|cell| (*cell, *place))).collect();
            let axes = self.relevant(&cells);
            for place in members {
                let labels = &self.cells[self.graph[*place].cells[0] as usize].labels;
                let values: Vec<&str> = axes.iter().map(|axis| labels[*axis].as_str()).collect();
                let id = &self.graph[*place].id;
                let name = if values.is_empty() { id.to_string() } else { format!("{id}@{}", values.join(",")) };
                named.push((*place, TaskId(name)));
            }
        }
        self.ids = named.iter().map(|(place, id)| (id.clone(), *place)).collect();
        for (place, id) in named {
            self.graph[place].id = id;
        }
    }

    /// The axes that tell a family's tasks apart, no more of them than needed; an earlier axis is kept rather than a later one.
    fn relevant(&self, cells: &[(u32, NodeIndex)]) -> Vec<usize> {
        let n_axes = self.cells[0].labels.len();
        let mut axes: Vec<usize> = (0..n_axes).collect();
        for axis in (0..n_axes).rev() {
            let fewer: Vec<usize> = axes.iter().copied().filter(|other| *other != axis).collect();
            let mut told: HashMap<Vec<&str>, NodeIndex> = HashMap::new();
            let is_told = cells.iter().all(|(cell, place)| {
                let labels = &self.cells[*cell as usize].labels;
                let values = fewer.iter().map(|axis| labels[*axis].as_str()).collect();
                *told.entry(values).or_insert(*place) == *place
            });
            if is_told {
                axes = fewer;
            }
        }
        axes
    }
}
