package io.github.ddpm4j.examples;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/** How every main of the examples runs its command. */
final class Mains {

  /** The exit code for what the user can put right: a wrong option, a missing file. */
  static final int USER_ERROR = CommandLine.ExitCode.USAGE;

  /** The exit code of a run that worked but whose result misses a bound. */
  static final int RESULT_FALLS_SHORT = 3;

  private Mains() {}

  /**
   * A folder below the build folder, which the build passes in; below {@code target} of the working
   * folder where it does not.
   */
  static Path target(String folder) {
    return Path.of(System.getProperty("ddpm4j.target", "target"), folder);
  }

  /**
   * Checks a whole number that an option gave.
   *
   * @throws IllegalArgumentException if it is out of range
   */
  static int within(String option, int least, int most, int value) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          option + " must be from " + least + " to " + most + ", but was " + value);
    }
    return value;
  }

  /**
   * Checks a whole number that an option gave.
   *
   * @throws IllegalArgumentException if it is too small
   */
  static int atLeast(String option, int least, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          option + " must be at least " + least + ", but was " + value);
    }
    return value;
  }

  /**
   * Those of some things that an option named.
   *
   * @throws IllegalArgumentException if a name is none of theirs
   */
  static <T> List<T> chosen(
      String option, List<T> all, Function<T, String> nameOf, List<String> names) {
    Map<String, T> byName = new LinkedHashMap<>();
    all.forEach(one -> byName.put(nameOf.apply(one), one));
    List<T> chosen = new ArrayList<>();
    for (String name : names) {
      T one = byName.get(name);
      if (one == null) {
        throw new IllegalArgumentException(
            option + " must be of " + String.join(", ", byName.keySet()) + ", but was " + name);
      }
      chosen.add(one);
    }
    return chosen;
  }

  /** Ends the process only when there is something to report, since Maven may be running in it. */
  static void exitWith(int code) {
    if (code != 0) {
      System.exit(code);
    }
  }

  /**
   * Runs a command and gives its exit code. What the user can put right ends in one line on the
   * error stream and {@link #USER_ERROR}; anything else in a stack trace and 1.
   */
  static int run(Object command, String... args) {
    setDefault("java.awt.headless", "true");
    setDefault("OPT_OUT_TRACKING", "true"); // DJL would call home
    setDefault("org.slf4j.simpleLogger.defaultLogLevel", "warn");
    return commandLine(command).execute(args);
  }

  static CommandLine commandLine(Object command) {
    CommandLine commandLine = new CommandLine(command);
    commandLine
        .getCommandSpec()
        .addOption(
            OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .description("Show this help and exit.")
                .build());
    return commandLine
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionExceptionHandler(Mains::report);
  }

  private static int report(Exception problem, CommandLine command, ParseResult result)
      throws Exception {
    if (problem instanceof IOException
        || problem instanceof UncheckedIOException
        || problem instanceof IllegalArgumentException) {
      Exception cause =
          problem instanceof UncheckedIOException unchecked && unchecked.getCause() != null
              ? unchecked.getCause()
              : problem;
      command.getErr().println(command.getCommandName() + ": " + message(cause));
      return USER_ERROR;
    }
    throw problem;
  }

  /** What went wrong. The exceptions of the file system name the file and nothing else. */
  private static @Nullable String message(Exception problem) {
    if (!(problem instanceof FileSystemException files)
        || files.getReason() != null
        || !Objects.equals(files.getMessage(), files.getFile())) {
      return problem.getMessage();
    }
    if (files instanceof NoSuchFileException) {
      return files.getFile() + " does not exist";
    }
    if (files instanceof FileAlreadyExistsException) {
      return files.getFile() + " is in the way: a file or folder of this name exists";
    }
    if (files instanceof NotDirectoryException) {
      return files.getFile() + " is not a folder";
    }
    return files.getFile()
        + (files instanceof AccessDeniedException
            ? " cannot be read or written: access is denied"
            : " cannot be read or written");
  }

  /** Sets a system property unless the user did. */
  static void setDefault(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }
}
