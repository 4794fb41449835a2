package io.github.ddpm4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.internal.io.Versions;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Checks that this machine computes what it should. */
@Command(
    name = "verify",
    sortOptions = false,
    description = {
      "Checks that this machine and device compute what they should: against numbers that PyTorch"
          + " and diffusers printed, Gaussian data whose samples have a closed form, and pictures of"
          + " the model in the box.",
      "Ends with 1 if a difference is too large."
    },
    footer = {"", "  ddpm verify", "  ddpm verify --device gpu0 --json"})
final class VerifyCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Verification verification = new Verification(Cli.device(device));
    DDPM.endStepsOnShutdown();
    List<Verification.Check> checks;
    try (Progress progress = Ddpm.progress(spec, "verifying", "checks").silentIfShort()) {
      checks = verification.run((done, all) -> progress.to((long) done, (long) all, ""));
    }
    return told(spec.commandLine().getOut(), device, json, checks);
  }

  /** Says how it went. */
  static int told(PrintWriter out, String device, boolean json, List<Verification.Check> checks) {
    String engine = Machine.engine().getEngineName() + " " + Machine.engine().getVersion();
    long failed = checks.stream().filter(check -> !check.passed()).count();
    if (json) {
      JsonArray all = new JsonArray();
      for (Verification.Check check : checks) {
        JsonObject one = new JsonObject();
        one.addProperty("name", check.name());
        one.addProperty("difference", String.valueOf(check.difference()));
        one.addProperty("allowed", check.allowed());
        one.addProperty("passed", check.passed());
        all.add(one);
      }
      JsonObject result = new JsonObject();
      Versions.ofLibraries().forEach(result::addProperty);
      result.addProperty("engine", engine);
      result.addProperty("device", device);
      result.add("checks", all);
      result.addProperty("failed", failed);
      out.println(result);
    } else {
      out.println(Versions.ofLibraries() + ", " + engine + ", " + device);
      for (Verification.Check check : checks) {
        out.println(
            String.format(
                Locale.ROOT,
                "%-6s %8.1e of %7.1e  %s",
                check.passed() ? "good" : "WRONG",
                check.difference(),
                check.allowed(),
                check.name()));
      }
      out.println(
          failed == 0
              ? "all " + checks.size() + " are good"
              : failed
                  + " of "
                  + checks.size()
                  + " are wrong; results on this machine and device are not to be trusted");
    }
    out.flush();
    return failed == 0 ? ExitCode.OK : ExitCode.SOFTWARE;
  }
}
