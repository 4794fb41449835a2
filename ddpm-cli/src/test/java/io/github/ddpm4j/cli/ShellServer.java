package io.github.ddpm4j.cli;

import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.report.internal.Progress;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Runs command after command of a shell in one process, in the shell's folder: a JVM for each would
 * take minutes. A function of the shell, {@link #FUNCTION}, stands for the program.
 */
final class ShellServer {

  /** Pipes for arguments and exit codes, and files for what is written. */
  static final String FUNCTION =
      """
      ddpm() {
        if [ $# = 0 ]; then : >"$PIPES/arguments"; else printf '%s\\0' "$@" >"$PIPES/arguments"; fi
        local code
        read -r code <"$PIPES/code"
        cat "$PIPES/err" >&2
        cat "$PIPES/out"
        return "$code"
      }
      """;

  private ShellServer() {}

  /**
   * Serves until the process is ended.
   *
   * @param args the folder of the pipes
   */
  public static void main(String[] args) throws IOException {
    Path pipes = Path.of(args[0]);
    PrintStream own = System.err;
    ByteArrayOutputStream errors = new ByteArrayOutputStream();
    // The progress of training goes there, beside what commands complain of.
    System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
    Thread.setDefaultUncaughtExceptionHandler((thread, problem) -> problem.printStackTrace(own));
    Cli.setDefaults();
    while (true) {
      String[] arguments = arguments(pipes.resolve("arguments"));
      int code;
      try (OutputStream out = Files.newOutputStream(pipes.resolve("out"))) {
        code =
            Ddpm.run(
                new PrintWriter(out, true, StandardCharsets.UTF_8),
                new PrintWriter(System.err, true, StandardCharsets.UTF_8),
                Progress.Display.onStandardError(),
                arguments);
      }
      Files.write(pipes.resolve("err"), errors.toByteArray());
      errors.reset();
      try (OutputStream answer = new FileOutputStream(pipes.resolve("code").toFile())) {
        answer.write((code + "\n").getBytes(StandardCharsets.UTF_8));
      }
    }
  }

  private static String[] arguments(Path pipe) throws IOException {
    // Its own readAllBytes asks where it stands, which pipes don't tell.
    try (InputStream in = new BufferedInputStream(new FileInputStream(pipe.toFile()))) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return text.isEmpty() ? new String[0] : text.substring(0, text.length() - 1).split("\0", -1);
    }
  }
}
