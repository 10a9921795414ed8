//! What the seam promises, checked on both databases.

#[cfg(test)]
mod seam;
