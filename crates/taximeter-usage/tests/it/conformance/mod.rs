//! What every engine must do, whatever its log is kept in and whatever it does in the background.

mod appending;
mod corrections;
mod dimensions;
mod formulas;
mod life;
mod pins;
mod reading;
mod requests;
mod usage;
