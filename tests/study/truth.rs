//! What was planted is found again, and nothing is found where nothing was planted.
