//! Jobs that were submitted and are not over: what is known of each, and how they are brought to an end.

use super::{
    SlurmError, Standing,
    fate::{JobState, Stage},
    folder::{ClusterFolder, Submission},
    queue::{self, JobId},
};
use crate::executor::schedule::Given;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// An array that was submitted.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) submission: Submission,
    pub(super) elements: Vec<Element>,
    /// When its submission got no answer that says whether it arrived.
    pub(super) unsure_since: Option<Instant>,
    /// Whether a task failed in it, for reasons that its log may tell.
    pub(super) keeps_log: bool,
}

/// A job of an array.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Its tasks that are waited for, by number; those that were settled, or that nobody wants, are absent.
    pub(super) given: BTreeMap<usize, Arc<Given>>,
    pub(super) state: Option<JobState>,
    /// Since when it is over, or unknown to the cluster.
    pub(super) over_since: Option<Instant>,
    /// The last sign of life, and when it came.
    pub(super) beat: (u64, Option<Instant>),
    /// Whether its silence was told.
    pub(super) is_missed: bool,
    /// Whether nobody wants its results any more.
    pub(super) is_unwanted: bool,
}

impl Live {
    pub(super) fn new(submission: Submission) -> Self {
        let elements = submission.elements.iter().map(|_| Element::default()).collect();
        Self { submission, elements, unsure_since: None, keeps_log: false }
    }

    /// Jobs that are, or may be, in the queue.
    pub(super) fn n_queued(&self) -> usize {
        self.elements.iter().filter(|element| element.over_since.is_none()).count()
    }

    /// Whether nothing of it is waited for any more.
    pub(super) fn is_settled(&self) -> bool {
        self.elements.iter().all(|element| element.given.is_empty())
    }

    pub(super) fn id(&self, element: usize) -> Option<JobId> {
        Some((self.submission.job?, u32::try_from(element).ok()?))
    }
}

/// Time that a cluster has to end the jobs of a run that was cancelled.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

/// Cancels these arrays and waits until the cluster says that none of their jobs waits or runs, for as long as that may take it.
///
/// Gives how many were found, and whether all are known to be over.
pub(super) fn cancel_all(names: &[&str], poll: Duration) -> Result<(usize, bool), SlurmError> {
    let started = Instant::now();
    let mut most = 0;
    loop {
        if let Some(jobs) = queue::look()? {
            let left: Vec<JobId> = jobs
                .iter()
                .filter(|(_, state)| names.contains(&state.name.as_str()) && state.stage() != Stage::Over)
                .map(|(id, _)| *id)
                .collect();
            most = most.max(left.len());
            if left.is_empty() {
                return Ok((most, true));
            }
            queue::cancel(&left)?;
        }
        if started.elapsed() >= ENDS_WITHIN {
            return Ok((most, false));
        }
        std::thread::sleep(poll.min(Duration::from_secs(1)));
    }
}

/// See [`super::cancel_orphans`].
pub(super) fn cancel_orphans(folder: &ClusterFolder) -> Result<Option<usize>, SlurmError> {
    let submissions = folder.submissions();
    if submissions.is_empty() {
        return Ok(Some(0));
    }
    let names: Vec<&str> = submissions.iter().map(|(_, submission)| submission.name.as_str()).collect();
    let (n, all_over) = cancel_all(&names, Duration::from_secs(1))?;
    if !all_over {
        return Ok(None);
    }
    for (batch, submission) in &submissions {
        folder.remove(batch, submission.elements.len());
    }
    Ok(Some(n))
}

/// See [`super::standing`].
pub(super) fn standing(folder: &ClusterFolder) -> Result<Option<Standing>, SlurmError> {
    let submissions = folder.submissions();
    let n_jobs: usize = submissions.iter().map(|(_, submission)| submission.elements.len()).sum();
    if n_jobs == 0 {
        return Ok(None);
    }
    let Some(jobs) = queue::look()? else { return Ok(None) };
    let names: BTreeSet<&str> = submissions.iter().map(|(_, submission)| submission.name.as_str()).collect();
    let mut standing = Standing::default();
    for state in jobs.values().filter(|state| names.contains(state.name.as_str())) {
        match state.stage() {
            Stage::Running => standing.running += 1,
            Stage::Waiting | Stage::Never => standing.waiting += 1,
            Stage::Over => {}
        }
    }
    standing.over = n_jobs.saturating_sub(standing.running + standing.waiting);
    Ok(Some(standing))
}
