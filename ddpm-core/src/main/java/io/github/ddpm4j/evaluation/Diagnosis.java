package io.github.ddpm4j.evaluation;

import java.util.List;
import java.util.stream.Collectors;

/**
 * What a {@link TrainingDoctor} found.
 *
 * @param findings one per subject, in a fixed order
 */
public record Diagnosis(List<Finding> findings) {

  /**
   * One subject.
   *
   * @param subject what was looked at
   * @param concern whether it calls for something to be done
   * @param figures the numbers, in words
   * @param advice what to make of them
   */
  public record Finding(String subject, boolean concern, String figures, String advice) {

    /** One line; those that call for something to be done begin with an exclamation mark. */
    @Override
    public String toString() {
      return (concern ? "! " : "  ") + subject + ": " + figures + "; " + advice;
    }
  }

  /**
   * Copies the list.
   *
   * @param findings one per subject
   */
  public Diagnosis {
    findings = List.copyOf(findings);
  }

  /**
   * What calls for something to be done.
   *
   * @return some of the findings
   */
  public List<Finding> concerns() {
    return findings.stream().filter(Finding::concern).toList();
  }

  /** A line per finding. */
  @Override
  public String toString() {
    return findings.stream().map(Finding::toString).collect(Collectors.joining("\n"));
  }
}
