package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.engine.Engine;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/** How programs take their options and report what is wrong with them. */
public final class Cli {

  /** The exit code for what the user can put right: a wrong option, a missing file. */
  public static final int USER_ERROR = CommandLine.ExitCode.USAGE;

  private static final Pattern DEVICE = Pattern.compile("cpu|gpu[0-9]+");

  private Cli() {}

  /**
   * Checks a whole number that an option gave.
   *
   * @param option the option
   * @param least the least value
   * @param value the value
   * @return the value
   * @throws IllegalArgumentException if it is too small
   */
  public static int atLeast(String option, int least, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          option + " must be at least " + least + ", but was " + value);
    }
    return value;
  }

  /**
   * The device of this name.
   *
   * @param name the name
   * @return the device
   * @throws IllegalArgumentException if there is no such device, or the name is neither {@code cpu}
   *     nor {@code gpu0}, {@code gpu1}, …
   */
  public static Device device(String name) {
    if (!DEVICE.matcher(name).matches()) {
      throw new IllegalArgumentException("--device must be cpu, gpu0, gpu1, ..., but was " + name);
    }
    Device device = Device.fromName(name);
    if (device.isGpu()) {
      int gpus = Engine.getInstance().getGpuCount();
      if (device.getDeviceId() >= gpus) {
        throw new IllegalArgumentException(
            "--device must be one that is here, but was "
                + name
                + ", and the engine sees "
                + gpus
                + " GPUs; use cpu, or a libtorch built for the GPU");
      }
    }
    return device;
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

  /**
   * Ends the process only when there is something to report, since Maven may be running in it.
   *
   * @param code the exit code
   */
  public static void exitWith(int code) {
    if (code != 0) {
      System.exit(code);
    }
  }

  /**
   * Runs a command and gives its exit code. What the user can put right ends in one line on the
   * error stream and {@link #USER_ERROR}; anything else in a stack trace and 1.
   *
   * @param command an object with picocli's annotations
   * @param args what the user wrote
   * @return the exit code
   */
  public static int run(Object command, String... args) {
    setDefaults();
    return commandLine(command).execute(args);
  }

  /** Sets the system properties that programs want, unless the user did. */
  public static void setDefaults() {
    setDefault("java.awt.headless", "true");
    setDefault("OPT_OUT_TRACKING", "true"); // DJL would call home
    setDefault("org.slf4j.simpleLogger.defaultLogLevel", "warn");
    // A warning is a line to a user, who knows neither threads nor classes.
    setDefault("org.slf4j.simpleLogger.showThreadName", "false");
    setDefault("org.slf4j.simpleLogger.showLogName", "false");
  }

  /**
   * A command as {@link #run} runs it.
   *
   * @param command an object with picocli's annotations
   * @return the command line
   */
  public static CommandLine commandLine(Object command) {
    CommandLine commandLine = new CommandLine(command);
    commandLine
        .getCommandSpec()
        .addOption(
            OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .scopeType(CommandLine.ScopeType.INHERIT)
                .description("Show this help and exit.")
                .build());
    return commandLine
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionExceptionHandler(Cli::report);
  }

  /**
   * Reports what a command failed by, if the user can put it right.
   *
   * @param problem what it threw
   * @param command the command
   * @param result not used
   * @return {@link #USER_ERROR}
   * @throws Exception {@code problem}, if the user can't
   */
  public static int report(Exception problem, CommandLine command, ParseResult result)
      throws Exception {
    if (isUsers(problem)) {
      tell(problem, command);
      return USER_ERROR;
    }
    throw problem;
  }

  /**
   * Whether the user can put a problem right: a wrong option, a missing file.
   *
   * @param problem what a command failed by
   * @return whether its message is for the user
   */
  public static boolean isUsers(Exception problem) {
    return problem instanceof IOException
        || problem instanceof UncheckedIOException
        || problem instanceof IllegalArgumentException;
  }

  /**
   * Says on the error stream what a command failed by, in one line.
   *
   * @param problem what the user can put right
   * @param command the command
   */
  public static void tell(Exception problem, CommandLine command) {
    command.getErr().println(command.getCommandName() + ": " + message(problem));
  }

  /**
   * What a command failed by, in one line.
   *
   * @param problem what the user can put right
   * @return its message, or a sentence where the file system's has none
   */
  public static @Nullable String message(Exception problem) {
    return problem instanceof UncheckedIOException unchecked && unchecked.getCause() != null
        ? plain(unchecked.getCause())
        : plain(problem);
  }

  /** What went wrong. The exceptions of the file system name the file and nothing else. */
  private static @Nullable String plain(Exception problem) {
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
  private static void setDefault(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }
}
