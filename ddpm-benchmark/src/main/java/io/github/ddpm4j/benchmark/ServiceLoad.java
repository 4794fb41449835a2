package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.service.BatchCurve;
import io.github.ddpm4j.service.RequestRefusedException;
import io.github.ddpm4j.service.SamplingRequest;
import io.github.ddpm4j.service.SamplingService;
import io.github.ddpm4j.service.ServedRequest;
import io.github.ddpm4j.unet.UNet;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * A service under load: requests of few steps and of many that come at random, batched by the step
 * and, for comparison, as whole requests. The same requests come to both, one after the other.
 */
@Command(
    name = "service-load",
    description = "Times requests to a sampling service, batched by the step and whole.")
public final class ServiceLoad implements Callable<Integer> {

  private static final double MEDIAN = 0.5;
  private static final double LAST = 0.99;
  private static final long PATIENCE_MINUTES = 30;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      description = "The network: digits, 28x28, cifar10 (default: ${DEFAULT-VALUE}).")
  private String preset = "28x28";

  @Option(
      names = "--loads",
      paramLabel = "SHARE",
      split = ",",
      description = "What comes, as shares of the capacity (default: ${DEFAULT-VALUE}).")
  private List<Double> loads = List.of(0.5, 0.8, 0.95, 1.2);

  @Option(
      names = "--requests",
      paramLabel = "N",
      description = "The requests of each run (default: ${DEFAULT-VALUE}).")
  private int requests = 2000;

  @Option(
      names = "--queue",
      paramLabel = "N",
      description = "The requests that may wait (default: ${DEFAULT-VALUE}).")
  private int queue = 256;

  @Option(
      names = "--calibration",
      paramLabel = "SECONDS",
      description = "How long each size of a call is timed (default: ${DEFAULT-VALUE}).")
  private double calibration = 2;

  ServiceLoad() {}

  /**
   * Runs it.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // as a service has it
    Cli.exitWith(Cli.run(new ServiceLoad(), args));
  }

  /** What became of the requests: how long each took, in nanoseconds; negative if refused. */
  private record Run(List<Arrival> arrivals, AtomicLongArray took, double imageSteps) {

    String latency(boolean isShort, double share) {
      double[] times =
          arrivals.stream()
              .filter(arrival -> arrival.isShort() == isShort && took.get(arrival.number()) > 0)
              .mapToDouble(arrival -> took.get(arrival.number()) / 1e6)
              .sorted()
              .toArray();
      return times.length == 0
          ? "-"
          : String.format(Locale.ROOT, "%.0f", times[(int) (share * (times.length - 1))]);
    }

    long refused() {
      return arrivals.stream().filter(arrival -> took.get(arrival.number()) < 0).count();
    }
  }

  @Override
  public Integer call() throws InterruptedException {
    Cli.atLeast("--requests", 1, requests);
    Cli.atLeast("--queue", 1, queue);
    Preset chosen = Cli.chosen("--preset", Benchmark.PRESETS, Preset::name, List.of(preset)).get(0);
    PrintWriter out = spec.commandLine().getOut();
    try (UNet network = chosen.network().get().seed(1).build();
        DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(network).build()) {
      BatchCurve curve =
          BatchCurve.measure(ddpm, s -> s, Duration.ofNanos((long) (1e9 * calibration)));
      for (BatchCurve.Point point : curve.points()) {
        out.printf(
            Locale.ROOT, "calls of %d: %.1f image-steps a second%n", point.images(), point.rate());
      }
      int batch = curve.best().images();
      double capacity = curve.best().rate();
      out.println();
      out.println(
          "| load | batched | short: median ms | p99 ms | long: median ms | p99 ms | image-steps/s |"
              + " of capacity | refused |");
      out.println("|---|---|---|---|---|---|---|---|---|");
      for (double load : loads) {
        List<Arrival> arrivals = Arrivals.poisson(requests, load * capacity / Arrivals.STEPS, 1);
        print(out, load, "by the step", byStep(ddpm, arrivals, batch), capacity);
        print(out, load, "whole", whole(ddpm, arrivals, batch), capacity);
      }
    }
    return 0;
  }

  private static void print(PrintWriter out, double load, String how, Run run, double capacity) {
    out.printf(
        Locale.ROOT,
        "| %.2f | %s | %s | %s | %s | %s | %.1f | %.2f | %d |%n",
        load,
        how,
        run.latency(true, MEDIAN),
        run.latency(true, LAST),
        run.latency(false, MEDIAN),
        run.latency(false, LAST),
        run.imageSteps(),
        run.imageSteps() / capacity,
        run.refused());
    out.flush();
  }

  private Run byStep(DDPM ddpm, List<Arrival> arrivals, int batch) throws InterruptedException {
    try (SamplingService service =
        SamplingService.of(ddpm).mostImages(batch).queue(queue).build()) {
      return run(
          arrivals,
          arrival -> {
            try {
              ServedRequest served = service.submit(SamplingRequest.of(1, arrival::set));
              return Optional.of(served.result().thenAccept(Samples::close));
            } catch (RequestRefusedException e) {
              return Optional.empty();
            }
          });
    }
  }

  private Run whole(DDPM ddpm, List<Arrival> arrivals, int batch) throws InterruptedException {
    try (WholeRequests server = new WholeRequests(batch, queue)) {
      return run(
          arrivals,
          arrival -> {
            SamplingRun started = arrival.set(ddpm.sampling()).start(1);
            Optional<CompletableFuture<Void>> taken = server.taken(started);
            if (taken.isEmpty()) {
              started.close();
            }
            return taken;
          });
    }
  }

  /** Takes a request, or has no room for it. */
  private interface Server {
    Optional<CompletableFuture<Void>> taken(Arrival arrival) throws InterruptedException;
  }

  private static Run run(List<Arrival> arrivals, Server server) throws InterruptedException {
    AtomicLongArray took = new AtomicLongArray(arrivals.size());
    CompletableFuture<?>[] all = new CompletableFuture<?>[arrivals.size()];
    long begun = System.nanoTime();
    for (Arrival arrival : arrivals) {
      long due = begun + arrival.nanos();
      while (System.nanoTime() < due) {
        LockSupport.parkNanos(due - System.nanoTime());
      }
      int number = arrival.number();
      took.set(number, -1);
      all[number] =
          server
              .taken(arrival)
              .map(done -> done.thenRun(() -> took.set(number, System.nanoTime() - due)))
              .orElse(CompletableFuture.completedFuture(null));
    }
    CompletableFuture.allOf(all).orTimeout(PATIENCE_MINUTES, TimeUnit.MINUTES).join();
    double seconds = (System.nanoTime() - begun) / 1e9;
    double steps =
        arrivals.stream()
            .filter(arrival -> took.get(arrival.number()) > 0)
            .mapToDouble(Arrival::steps)
            .sum();
    return new Run(arrivals, took, steps / seconds);
  }
}
