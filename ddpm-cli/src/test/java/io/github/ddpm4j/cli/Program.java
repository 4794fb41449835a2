package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.report.internal.Progress;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;

/** The program as a user calls it, in this process. */
final class Program {

  private Program() {}

  /**
   * What came of a command.
   *
   * @param code the exit code
   * @param out what it wrote
   * @param err what it complained of
   */
  record Result(int code, String out, String err) {

    /** What it wrote, once it is known to have gone well. */
    String good() {
      assertThat(err).isEmpty();
      assertThat(code).isZero();
      return out;
    }

    /** The one line of what the user can put right. */
    String refused() {
      assertThat(code).as(err).isEqualTo(2);
      assertThat(out).isEmpty();
      assertThat(err.strip()).as("one line").doesNotContain("\n");
      return err.strip();
    }

    /** The one line of what is wrong with options, without the names before and after it. */
    String misspelt() {
      String line = refused();
      assertThat(line).matches("[a-z]+: .*; ddpm( [a-z]+)? --help says more");
      return line.substring(line.indexOf(' ') + 1, line.lastIndexOf("; ddpm"));
    }
  }

  static Result run(Object... args) {
    return run(Progress.Display.onStandardError(), args);
  }

  static Result run(Progress.Display display, Object... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Ddpm.run(
            new PrintWriter(out),
            new PrintWriter(err),
            display,
            Arrays.stream(args).map(String::valueOf).toArray(String[]::new));
    return new Result(code, out.toString(), err.toString());
  }
}
