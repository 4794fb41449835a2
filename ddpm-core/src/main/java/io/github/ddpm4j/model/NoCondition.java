package io.github.ddpm4j.model;

/** The condition of an unconditional model. */
enum NoCondition implements Condition {
  NONE
}
