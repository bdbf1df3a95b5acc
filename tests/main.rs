mod brain;
mod math;
mod model;
mod report;
