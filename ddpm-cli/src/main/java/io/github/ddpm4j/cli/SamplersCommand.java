package io.github.ddpm4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.evaluation.SamplerPlanner;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.sampling.Samplers;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Compares samplers for a model. */
@Command(
    name = "samplers",
    sortOptions = false,
    description = {
      "Finds the sampler that comes nearest to a long chain within a number of calls of the"
          + " network."
    },
    footer = {"", "  ddpm samplers -m digits --calls 10"})
final class SamplersCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Calls of the network for a picture (default: ${DEFAULT-VALUE}).")
  private int calls = 10;

  @Option(
      names = "--long-chain",
      paramLabel = "N",
      description = "The steps of the chain to compare with (default: ${DEFAULT-VALUE}).")
  private int longChain = 200;

  @Option(
      names = {"-n", "--count"},
      paramLabel = "N",
      description = "The number of pictures to compare (default: ${DEFAULT-VALUE}).")
  private int count = 32;

  @Option(names = "--seed", paramLabel = "SEED", description = "That of the noise (default: 0).")
  private long seed;

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Cli.atLeast("--calls", 1, calls);
    Cli.atLeast("--long-chain", 1, longChain);
    Cli.atLeast("--count", 1, count);
    model.check();
    DDPM.endStepsOnShutdown();
    try (LoadedModel loaded = model.load()) {
      SamplerPlanner planner =
          loaded
              .ddpm()
              .samplerPlanner()
              .longChain(Samplers.ddim(longChain))
              .images(count)
              .seed(seed);
      SamplerPlanner.Table table = planned(planner);
      PrintWriter out = spec.commandLine().getOut();
      out.println(json ? json(table) : Advice.of(table.toString()));
      out.flush();
    }
    return 0;
  }

  private SamplerPlanner.Table planned(SamplerPlanner planner) {
    int total = planner.totalCalls(calls);
    AtomicInteger before = new AtomicInteger();
    try (Progress progress = Ddpm.progress(spec, "comparing", "calls").silentIfShort()) {
      return planner
          .setUp(
              run ->
                  run.listener(
                      event -> {
                        long images = event.x().getShape().get(0);
                        double done =
                            (double) event.firstImage() * event.steps()
                                + (double) images * (event.step() + 1);
                        progress.to(before.get() + done / count, (double) total, "");
                        if (done == (double) count * event.steps()) {
                          before.addAndGet(event.steps());
                        }
                      }))
          .plan(calls);
    }
  }

  private static JsonObject json(SamplerPlanner.Table table) {
    JsonObject result = new JsonObject();
    result.addProperty("calls", table.calls());
    result.addProperty("images", table.images());
    result.addProperty("seed", table.seed());
    result.addProperty("choice", table.choice().toString());
    result.add("long chain", json(table.longChain()));
    JsonArray rows = new JsonArray();
    table.rows().forEach(row -> rows.add(json(row)));
    result.add("samplers", rows);
    return result;
  }

  private static JsonObject json(SamplerPlanner.Row row) {
    JsonObject one = new JsonObject();
    one.addProperty("sampler", row.sampler().toString());
    if (row.isRefused()) {
      one.addProperty("refusal", Advice.of(row.refusal()));
    } else {
      one.addProperty("calls", row.calls());
      if (Double.isFinite(row.error())) { // JSON has no other numbers
        one.addProperty("error", row.error());
      }
    }
    return one;
  }
}
