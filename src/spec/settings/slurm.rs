//! What a Slurm cluster is asked for, and what single kinds of task ask for otherwise. Knows no commands of Slurm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a Slurm cluster is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlurmSettings {
    /// Partition of the jobs; the cluster's own choice if absent.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+-]+$"))]
    #[schemars(example = &"main")]
    pub partition: Option<String>,
    /// Account that the jobs are charged to; the user's own if absent.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+-]+$"))]
    #[schemars(example = &"neuro")]
    pub account: Option<String>,
    /// Quality of service of the jobs; the user's own if absent.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+-]+$"))]
    #[schemars(example = &"normal")]
    pub qos: Option<String>,
    /// Features that a node must have.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+&|\[\]*()-]+$"))]
    #[schemars(example = &"avx512&ib")]
    pub constraint: Option<String>,
    /// Minutes that a job asks for where it is not known how long its tasks take, and the least that any job asks for.
    #[schemars(range(min = 1, max = 525_600))]
    pub time_limit_min: u32,
    /// Minutes that a job may ask for at most.
    #[schemars(range(min = 1, max = 525_600))]
    pub longest_min: u32,
    /// Gigabytes that a job asks for at least.
    #[schemars(range(min = 0.1, max = 1_000_000))]
    pub memory_gb: f64,
    /// Gigabytes that a further try of a task, which was killed for its memory, asks for at most.
    #[schemars(range(min = 0.1, max = 1_000_000))]
    pub most_memory_gb: f64,
    /// Processor cores of a job.
    #[schemars(range(min = 1, max = 4096))]
    pub cpus: u32,
    /// GPUs of a job.
    #[schemars(range(min = 0, max = 64))]
    pub gpus: u32,
    /// Jobs of one array that run at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_running: u32,
    /// Jobs that are in the queue at once, waiting or running.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_queued: u32,
    /// Minutes of work that small tasks are put together for into one job.
    #[schemars(range(min = 0, max = 525_600))]
    pub pack_min: f64,
    /// Seconds between two looks at the queue.
    #[schemars(range(min = 0.1, max = 3600))]
    pub poll_s: f64,
    /// Times that a task is tried before it counts as failed.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// Factor on the memory of a job that was killed for it, when it is tried again.
    #[schemars(range(max = 100), extend("exclusiveMinimum" = 1))]
    pub memory_growth: f64,
    /// Shell lines that a job runs before its tasks.
    #[schemars(inner(regex(pattern = r"^[^\n\r]*$")))]
    #[schemars(example = ["module load openblas"])]
    pub setup: Vec<String>,
    /// Further options of `sbatch`, each with its value after an equals sign.
    #[schemars(inner(regex(pattern = r"^--[^\n\r]+$")))]
    #[schemars(example = ["--exclude=n13"])]
    pub options: Vec<String>,
    /// What jobs of one kind of task ask for otherwise, by the name of the kind, as `extract`.
    #[schemars(example = serde_json::json!({ "extract": { "partition": "gpu", "gpus": 1 } }))]
    pub kinds: BTreeMap<String, KindSettings>,
}

impl Default for SlurmSettings {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            constraint: None,
            time_limit_min: 60,
            longest_min: 1440,
            memory_gb: 1.0,
            most_memory_gb: 256.0,
            cpus: 1,
            gpus: 0,
            max_running: 64,
            max_queued: 512,
            pack_min: 10.0,
            poll_s: 5.0,
            attempts: 3,
            memory_growth: 2.0,
            setup: Vec::new(),
            options: Vec::new(),
            kinds: BTreeMap::new(),
        }
    }
}

/// What jobs of one kind of task ask for otherwise; what is absent is as for all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KindSettings {
    /// Partition of these jobs.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+-]+$"))]
    #[schemars(example = &"gpu")]
    pub partition: Option<String>,
    /// Account that these jobs are charged to.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+-]+$"))]
    #[schemars(example = &"neuro-gpu")]
    pub account: Option<String>,
    /// Quality of service of these jobs.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+-]+$"))]
    #[schemars(example = &"short")]
    pub qos: Option<String>,
    /// Features that a node must have for these jobs.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.,:@+&|\[\]*()-]+$"))]
    #[schemars(example = &"a100|h100")]
    pub constraint: Option<String>,
    /// Minutes that these jobs ask for where it is not known how long their tasks take, and at least.
    #[schemars(range(min = 1, max = 525_600))]
    #[schemars(example = 240)]
    pub time_limit_min: Option<u32>,
    /// Gigabytes that these jobs ask for at least.
    #[schemars(range(min = 0.1, max = 1_000_000))]
    #[schemars(example = 16.0)]
    pub memory_gb: Option<f64>,
    /// Processor cores of these jobs.
    #[schemars(range(min = 1, max = 4096))]
    #[schemars(example = 8)]
    pub cpus: Option<u32>,
    /// GPUs of these jobs.
    #[schemars(range(min = 0, max = 64))]
    #[schemars(example = 1)]
    pub gpus: Option<u32>,
    /// Options of `sbatch` for these jobs, in place of those for all.
    #[schemars(inner(regex(pattern = r"^--[^\n\r]+$")))]
    #[schemars(example = ["--exclude=n13"])]
    pub options: Option<Vec<String>>,
}

/// What the jobs of one kind of task ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSettings {
    /// Partition; the cluster's own choice if absent.
    pub partition: Option<String>,
    /// Account that is charged; the user's own if absent.
    pub account: Option<String>,
    /// Quality of service; the user's own if absent.
    pub qos: Option<String>,
    /// Features that a node must have.
    pub constraint: Option<String>,
    /// Minutes where it is not known how long tasks take, and at least.
    pub time_limit_min: u32,
    /// Gigabytes at least.
    pub memory_gb: f64,
    /// Processor cores.
    pub cpus: u32,
    /// GPUs.
    pub gpus: u32,
    /// Further options of `sbatch`.
    pub options: Vec<String>,
}

impl SlurmSettings {
    /// What jobs of one kind of task ask for: what is said of the kind, and of all jobs where nothing is said of it.
    #[must_use]
    pub fn of(&self, kind_name: &str) -> JobSettings {
        let kind = self.kinds.get(kind_name).cloned().unwrap_or_default();
        JobSettings {
            partition: kind.partition.or_else(|| self.partition.clone()),
            account: kind.account.or_else(|| self.account.clone()),
            qos: kind.qos.or_else(|| self.qos.clone()),
            constraint: kind.constraint.or_else(|| self.constraint.clone()),
            time_limit_min: kind.time_limit_min.unwrap_or(self.time_limit_min),
            memory_gb: kind.memory_gb.unwrap_or(self.memory_gb),
            cpus: kind.cpus.unwrap_or(self.cpus),
            gpus: kind.gpus.unwrap_or(self.gpus),
            options: kind.options.unwrap_or_else(|| self.options.clone()),
        }
    }
}
