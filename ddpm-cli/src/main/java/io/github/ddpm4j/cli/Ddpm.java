package io.github.ddpm4j.cli;

import io.github.ddpm4j.benchmark.Benchmark;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExecutionException;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The program {@code ddpm}. */
@Command(
    name = "ddpm",
    sortOptions = false,
    versionProvider = VersionLines.class,
    description = "Denoising diffusion models: trains, draws, evaluates and converts.",
    subcommands = {
      TrainCommand.class,
      SampleCommand.class,
      TextCommand.class,
      ReproduceCommand.class,
      EditCommand.class,
      NoiseCommand.class,
      DenoiseCommand.class,
      EvaluateCommand.class,
      SamplersCommand.class,
      DataCommand.class,
      InfoCommand.class,
      ConvertCommand.class,
      AverageCommand.class,
      VerifyCommand.class,
      DownloadCommand.class,
      CompletionCommand.class,
      HelpCommand.class
    },
    footer = {
      "",
      "Exit codes:",
      "    0  done",
      "    1  done, but something is not as it should be; or a fault of the program",
      "    2  wrong options, missing files, no engine and the like",
      "  130  ended by Ctrl-C",
      "",
      "  ddpm COMMAND --help says more, with examples."
    })
public final class Ddpm {

  /** That of a program that is ended by Ctrl-C. */
  static final int INTERRUPTED = 130;

  private static final int WIDTH = 100;
  private static final String CONFIG = "--config";

  @Option(
      names = "--stacktrace",
      scope = ScopeType.INHERIT,
      description = "Says where in the program it failed.")
  private boolean stacktrace;

  /** For the help: it is looked for before options are read. */
  @SuppressWarnings("UnusedVariable")
  @Option(
      names = CONFIG,
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = {
        "A file of options, such as 'ddpm.sample.sampler = ddim:50', which those of the command"
            + " line override."
      })
  private @Nullable Path config;

  @SuppressWarnings("UnusedVariable")
  @Option(
      names = "--version",
      versionHelp = true,
      description = "Prints the versions of the libraries and exits.")
  private boolean version;

  private final Progress.Display display;

  private Ddpm(Progress.Display display) {
    this.display = display;
  }

  /**
   * Runs a command.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Cli.setDefaults();
    // As picocli's own writers: in the encoding of the terminal.
    PrintWriter out = new PrintWriter(System.out, true, Charset.defaultCharset());
    PrintWriter err = new PrintWriter(System.err, true, Charset.defaultCharset());
    Cli.exitWith(run(out, err, Progress.Display.onStandardError(), args));
  }

  /**
   * Runs a command.
   *
   * @param display where it shows how far it is
   * @return the exit code
   */
  static int run(PrintWriter out, PrintWriter err, Progress.Display display, String... args) {
    CommandLine program = commandLine(display).setOut(out).setErr(err);
    try {
      Path file = configOf(args);
      if (file != null) {
        program.setDefaultValueProvider(ConfigFile.read(file, program));
      }
    } catch (IOException | IllegalArgumentException e) {
      Cli.tell(e, program);
      return Cli.USER_ERROR;
    }
    return program.execute(args);
  }

  /** The program with all of its commands. */
  static CommandLine commandLine() {
    return commandLine(Progress.Display.onStandardError());
  }

  private static CommandLine commandLine(Progress.Display display) {
    Ddpm program = new Ddpm(display);
    CommandLine commandLine = Cli.commandLine(program);
    CommandLine benchmark = new CommandLine(new Benchmark()).setCommandName("benchmark");
    benchmark.getCommandSpec().usageMessage().footer("", "  ddpm benchmark --quick");
    commandLine.addSubcommand(benchmark);
    commandLine.getSubcommands().values().forEach(Ddpm::prepare);
    Values.register(commandLine);
    return commandLine
        .setUsageHelpWidth(WIDTH)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionStrategy(Ddpm::execute)
        .setParameterExceptionHandler(Ddpm::refuse)
        .setExecutionExceptionHandler(program::report);
  }

  /**
   * A flag that is given is set. Picocli makes it the opposite of its default otherwise, which a
   * file of options changes. Enumerations are read in the words of the help.
   */
  private static void prepare(CommandLine command) {
    CommandSpec spec = command.getCommandSpec();
    for (OptionSpec option : List.copyOf(spec.options())) {
      // All anew, so that they stay in their order.
      spec.remove(option);
      OptionSpec.Builder same = OptionSpec.builder(option);
      if (isFlag(option)) {
        same.fallbackValue("true");
      }
      if (isEnumeration(option)) {
        same.converters(Values.one(option.type()))
            .completionCandidates(Values.words(option.type()));
      }
      spec.addOption(same.build());
    }
    for (PositionalParamSpec parameter : List.copyOf(spec.positionalParameters())) {
      if (isEnumeration(parameter)) {
        spec.remove(parameter);
        spec.addPositional(
            PositionalParamSpec.builder(parameter)
                .converters(Values.one(parameter.type()))
                .completionCandidates(Values.words(parameter.type()))
                .build());
      }
    }
  }

  /** Whether it is one of some words, which nothing else reads. */
  private static boolean isEnumeration(ArgSpec argument) {
    return argument.type().isEnum() && argument.converters().length == 0;
  }

  /** Whether an option takes no value. */
  static boolean isFlag(OptionSpec option) {
    return option.arity().max() == 0;
  }

  /** Says what is wrong with options, in one line. */
  private static int refuse(ParameterException refused, String[] args) {
    CommandLine command = refused.getCommandLine();
    List<String> unknown = command.getUnmatchedArguments();
    // What is missing may be there under a wrong name.
    ParameterException problem =
        refused instanceof MissingParameterException && !unknown.isEmpty()
            ? new UnmatchedArgumentException(command, unknown)
            : refused;
    String name = command.getCommandSpec().qualifiedName();
    List<String> others =
        problem instanceof UnmatchedArgumentException unmatched
            ? unmatched.getSuggestions()
            : List.of();
    command
        .getErr()
        .println(
            command.getCommandName()
                + ": "
                + said(problem)
                + (others.isEmpty() ? "" : "; is it " + String.join(" or ", others) + "?")
                + "; "
                + name
                + " --help says more");
    return Cli.USER_ERROR;
  }

  private static @Nullable String said(ParameterException problem) {
    // Picocli takes what cannot be the second of a list for something that was not asked for.
    return problem instanceof UnmatchedArgumentException unmatched
            && unmatched.getUnmatched().contains("")
        ? Names.EMPTY
        : problem.getMessage();
  }

  /** Runs a command. An engine that is not there ends it in an error, too. */
  private static int execute(ParseResult parsed) {
    try {
      return new CommandLine.RunLast().execute(parsed);
    } catch (LinkageError e) {
      CommandLine command = parsed.asCommandLineList().get(parsed.asCommandLineList().size() - 1);
      throw new ExecutionException(
          command, String.valueOf(e.getMessage()), new IllegalStateException(e.toString(), e));
    }
  }

  /**
   * What shows how far a command is. One that is read by a program shows nothing.
   *
   * @param command one of this program's
   */
  static Progress progress(CommandSpec command, String task, String units) {
    Ddpm program = (Ddpm) command.root().userObject();
    OptionSpec json = command.findOption("--json");
    boolean silent = json != null && Boolean.TRUE.equals(json.getValue());
    return new Progress(silent ? Progress.Display.none() : program.display, task, units);
  }

  /** Options of a file must be known before the others are read. */
  private static @Nullable Path configOf(String... args) {
    for (int i = 0; i < args.length; i++) {
      if (args[i].startsWith(CONFIG + "=")) {
        return pathOfConfig(args[i].substring(CONFIG.length() + 1));
      }
      if (args[i].equals(CONFIG) && i + 1 < args.length) {
        return pathOfConfig(args[i + 1]);
      }
    }
    return null;
  }

  private static Path pathOfConfig(String text) {
    try {
      return Names.path(text);
    } catch (TypeConversionException e) {
      throw new IllegalArgumentException(CONFIG + ": " + e.getMessage(), e);
    }
  }

  /** What is amiss with the engine, of which any fault may be a consequence; null if nothing is. */
  private static @Nullable String withoutEngine() {
    try {
      Machine.engine();
      return null;
    } catch (IllegalStateException e) {
      return e.getMessage();
    }
  }

  /** What is said of a command that Ctrl-C ended, which says so in the library's words. */
  private static String more(CancellationException ended, CommandLine command) {
    if (command.getCommand() instanceof Interruptible own) {
      return own.ended(ended);
    }
    return Stream.of("--output", "--save").anyMatch(command.getParseResult()::hasMatchedOption)
        ? "; nothing was written"
        : "";
  }

  private int report(Exception problem, CommandLine command, ParseResult result) {
    if (stacktrace) {
      problem.printStackTrace(command.getErr());
    }
    if (problem instanceof CancellationException ended) {
      command.getErr().println(command.getCommandName() + ": ended" + more(ended, command));
      return INTERRUPTED;
    }
    String missing = Cli.isUsers(problem) ? null : withoutEngine();
    if (missing != null || Cli.isUsers(problem)) {
      String said = missing == null ? Advice.of(Cli.message(problem)) : missing;
      command.getErr().println(command.getCommandName() + ": " + said);
      return Cli.USER_ERROR;
    }
    command
        .getErr()
        .println(
            command.getCommandName()
                + ": "
                + problem
                + (stacktrace ? "" : " (--stacktrace says where it happened)"));
    return CommandLine.ExitCode.SOFTWARE;
  }
}
