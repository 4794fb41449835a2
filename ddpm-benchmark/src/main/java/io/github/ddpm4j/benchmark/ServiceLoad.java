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
import io.github.ddpm4j.service.ServiceListener;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * A service under load: requests of few steps and of many that come at random, batched by the step
 * and, for comparison, as whole requests. The same requests come to both, one after the other, and
 * to a simulation of the former.
 */
@Command(
    name = "service-load",
    description = "Times requests to a sampling service, batched by the step and whole.")
public final class ServiceLoad implements Callable<Integer> {

  private static final long PATIENCE_MINUTES = 30;

  /** How often it looks whether the next request is due, in nanoseconds. */
  private static final long LOOK = 5_000_000;

  /** The requests of a simulation of what is not there to measure. */
  private static final int PLANNED = 20_000;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      description = "The network: digits, 28x28, cifar10 (default: ${DEFAULT-VALUE}).")
  private String preset = "28x28";

  @Option(
      names = "--precision",
      paramLabel = "NAME",
      description =
          "What it computes in: float32, bfloat16, float16, auto (default: ${DEFAULT-VALUE}).")
  private String precision = "float32";

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
      names = "--images",
      paramLabel = "N",
      description = "The most images of a call (default: those of the greatest rate).")
  private @Nullable Integer images;

  @Option(
      names = "--calibration",
      paramLabel = "SECONDS",
      description = "How long each size of a call is timed (default: ${DEFAULT-VALUE}).")
  private double calibration = 2;

  @Option(
      names = "--follow",
      description =
          "Counts time by the pace of the calls, for machines that others use, too: requests come"
              + " more slowly while calls are slower than when they were timed.")
  private boolean follow;

  @Option(
      names = "--devices",
      paramLabel = "N",
      description =
          "Simulates loads of up to N devices such as this one, on 1 to N of them"
              + " (default: ${DEFAULT-VALUE}).")
  private int devices = 1;

  ServiceLoad() {}

  /**
   * Runs it.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // as a service has it
    DDPM.endStepsOnShutdown();
    Cli.exitWith(Cli.run(new ServiceLoad(), args));
  }

  @Override
  public Integer call() throws InterruptedException {
    Cli.atLeast("--requests", 1, requests);
    Cli.atLeast("--queue", 1, queue);
    Cli.atLeast("--devices", 1, devices);
    if (images != null) {
      Cli.atLeast("--images", 1, images);
    }
    Preset chosen = Cli.chosen("--preset", Benchmark.PRESETS, Preset::name, List.of(preset)).get(0);
    Precision computed =
        Cli.chosen(
                "--precision", List.of(Precision.values()), ServiceLoad::name, List.of(precision))
            .get(0);
    PrintWriter out = spec.commandLine().getOut();
    UNetBuilder builder =
        chosen.network().get().seed(1).classes(Arrivals.CLASSES).precision(computed);
    try (UNet network = builder.build();
        DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(network).build()) {
      int batch = images == null ? best(ddpm, out) : images;
      TickMeter.Times times = TickMeter.measure(ddpm, batch, calibration);
      double capacity = times.capacity();
      out.printf(
          Locale.ROOT,
          "capacity, by calls of %d beside ticks: %.1f image-steps a second%n",
          batch,
          capacity);
      out.println("ticks of the service by images: " + times.ticks());
      out.println();
      out.println(
          "| load | batched | calls | first step: p99 ms | short: mean ms | median | p99 |"
              + " long: mean ms | median | p99 | image-steps/s | of capacity | refused |");
      out.println("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
      List<String> agreements = new ArrayList<>();
      for (double load : loads) {
        List<Arrival> arrivals = arrivals(requests, load * capacity);
        Pace pace = new Pace(times.calls(), follow);
        Outcome measured = byStep(ddpm, arrivals, batch, pace);
        print(out, load, "by the step", pace.factor(), measured, capacity);
        Outcome simulated = QueueModel.run(setup(1, batch), times.ticks(), arrivals);
        print(out, load, "simulated", 1, simulated, capacity);
        for (boolean isShort : List.of(true, false)) {
          agreements.add(
              String.format(
                  Locale.ROOT,
                  "| %.2f | %s | %s",
                  load,
                  isShort ? "short" : "long",
                  new Agreement(measured.latencies(isShort), simulated.latencies(isShort))
                      .cells()));
        }
        Pace paceOfWhole = new Pace(times.calls(), follow);
        Outcome whole = whole(ddpm, arrivals, batch, paceOfWhole);
        print(out, load, "whole", paceOfWhole.factor(), whole, capacity);
      }
      out.println();
      out.println("| load | requests | " + Agreement.HEAD);
      out.println("|---|---|---|---|---|---|---|---|---|---|");
      agreements.forEach(out::println);
      if (devices > 1) {
        plan(out, times.ticks(), capacity, batch);
      }
    }
    return 0;
  }

  /** The images of the calls that make the most image-steps in a second. */
  private int best(DDPM ddpm, PrintWriter out) {
    BatchCurve curve =
        BatchCurve.measure(ddpm, s -> s, Duration.ofNanos((long) (1e9 * calibration)));
    for (BatchCurve.Point point : curve.points()) {
      out.printf(
          Locale.ROOT, "calls of %d: %.1f image-steps a second%n", point.images(), point.rate());
    }
    return curve.best().images();
  }

  private static String name(Precision precision) {
    return precision.name().toLowerCase(Locale.ROOT);
  }

  private static List<Arrival> arrivals(int count, double imageSteps) {
    return Arrivals.poisson(count, imageSteps / Arrivals.STEPS, 1);
  }

  private QueueModel.Setup setup(int workers, int batch) {
    return new QueueModel.Setup(workers, batch, queue, SamplingService.DEFAULT_RESIDENT);
  }

  /** What as many devices would do for loads that more or fewer of them could bear. */
  private void plan(PrintWriter out, TickTimes ticks, double capacity, int batch) {
    out.println();
    out.println("Simulated: p99 of the short and the long requests in ms, and the share refused.");
    out.println();
    StringBuilder head = new StringBuilder("| load | requests/s |");
    StringBuilder rule = new StringBuilder("|---|---|");
    for (int count = 1; count <= devices; count++) {
      head.append(" devices: ").append(count).append(" |");
      rule.append("---|");
    }
    out.println(head);
    out.println(rule);
    SortedSet<Double> demands = new TreeSet<>();
    for (int count = 1; count <= devices; count++) {
      for (double load : loads) {
        demands.add(count * load);
      }
    }
    for (double demand : demands) {
      List<Arrival> arrivals = arrivals(PLANNED, demand * capacity);
      out.printf(Locale.ROOT, "| %.2f | %.1f |", demand, demand * capacity / Arrivals.STEPS);
      for (int count = 1; count <= devices; count++) {
        Outcome outcome = QueueModel.run(setup(count, batch), ticks, arrivals);
        out.printf(
            Locale.ROOT,
            " %s, %s, %.0f %% |",
            number(outcome.latencies(true).last()),
            number(outcome.latencies(false).last()),
            100.0 * outcome.refused() / PLANNED);
      }
      out.println();
    }
    out.flush();
  }

  private static void print(
      PrintWriter out, double load, String how, double calls, Outcome row, double capacity) {
    Latencies few = row.latencies(true);
    Latencies many = row.latencies(false);
    out.printf(
        Locale.ROOT,
        "| %.2f | %s | %.2f | %s | %s | %s | %s | %s | %s | %s | %.1f | %.2f | %d |%n",
        load,
        how,
        calls,
        number(row.waits().last()),
        number(few.mean()),
        number(few.median()),
        number(few.last()),
        number(many.mean()),
        number(many.median()),
        number(many.last()),
        row.rate(),
        row.rate() / capacity,
        row.refused());
    out.flush();
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.0f", value);
  }

  private Outcome byStep(DDPM ddpm, List<Arrival> arrivals, int batch, Pace pace)
      throws InterruptedException {
    Map<Long, Double> queued = new ConcurrentHashMap<>();
    Queue<Double> waits = new ConcurrentLinkedQueue<>();
    ServiceListener listener =
        new ServiceListener() {
          @Override
          public void queued(long id, SamplingRequest request) {
            queued.put(id, pace.now());
          }

          @Override
          public void begun(long id, SamplingRequest request, Duration waited) {
            waits.add(pace.now() - queued.remove(id));
          }

          @Override
          public void called(int called, int images, Duration took) {
            pace.called(images, took.toNanos());
          }
        };
    try (SamplingService service =
        SamplingService.of(ddpm).mostImages(batch).queue(queue).listener(listener).build()) {
      return run(
          arrivals,
          pace,
          waits,
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

  private Outcome whole(DDPM ddpm, List<Arrival> arrivals, int batch, Pace pace)
      throws InterruptedException {
    try (WholeRequests server = new WholeRequests(batch, queue, pace)) {
      return run(
          arrivals,
          pace,
          server.waits(),
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

  private static Outcome run(
      List<Arrival> arrivals, Pace pace, Collection<Double> waits, Server server)
      throws InterruptedException {
    AtomicLongArray took = new AtomicLongArray(arrivals.size());
    CompletableFuture<?>[] all = new CompletableFuture<?>[arrivals.size()];
    double begun = pace.now();
    for (Arrival arrival : arrivals) {
      double due = begun + arrival.nanos();
      for (double now = pace.now(); now < due; now = pace.now()) {
        // The pace may change meanwhile.
        LockSupport.parkNanos(Math.min(LOOK, pace.real(due - now)));
      }
      int number = arrival.number();
      took.set(number, -1);
      all[number] =
          server
              .taken(arrival)
              .map(done -> done.thenRun(() -> took.set(number, (long) (pace.now() - due))))
              .orElse(CompletableFuture.completedFuture(null));
    }
    CompletableFuture.allOf(all).orTimeout(PATIENCE_MINUTES, TimeUnit.MINUTES).join();
    double nanos = pace.now() - begun;
    double[] times = IntStream.range(0, took.length()).mapToDouble(took::get).toArray();
    return new Outcome(arrivals, times, Latencies.ofNanos(waits), nanos);
  }
}
