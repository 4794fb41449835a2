package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;

/**
 * A sampling service as a queue, event by event and without a network: requests for one image come,
 * join calls of the network and leave after their last step, by the rules of {@link
 * io.github.ddpm4j.service.SamplingService}, and a call takes the time that calls of as many images
 * took when they were measured. It tells what a service would do on more devices than there are.
 *
 * <ul>
 *   <li>A request that comes while as many wait as may is refused.
 *   <li>A request is due after {@value #PATIENCE} times its own length, by what an image-step took
 *       lately. A call takes those that are due first, and leaves out what no longer fits.
 *   <li>A request stays on the device where it began; one that waits begins on the first that has
 *       room in a call.
 * </ul>
 *
 * <p>Deterministic: the same arrivals give the same times.
 */
final class QueueModel {

  /** As the service has it. */
  private static final double PATIENCE = 4;

  /** The share of the latest call in the time of an image-step, as the service has it. */
  private static final double LATEST = 0.1;

  /** What an image-step takes before the first call, as the service has it. */
  private static final double UNKNOWN = 1e6;

  private static final Comparator<Request> BY_DUE =
      Comparator.comparingDouble((Request request) -> request.due)
          .thenComparingInt(request -> request.arrival.number());

  /**
   * What is simulated.
   *
   * @param devices each has a worker
   * @param batch the most images of a call
   * @param queue the requests that may wait
   * @param resident the most requests of a device between their first step and their last
   */
  record Setup(int devices, int batch, int queue, int resident) {}

  private static final class Request {

    private final Arrival arrival;
    private final double due;
    private int left;
    private int device = -1;

    Request(Arrival arrival, double due) {
      this.arrival = arrival;
      this.due = due;
      this.left = arrival.steps();
    }
  }

  /** A call that goes on. */
  private static final class Device {

    private List<Request> call = List.of();
    private double end = Double.POSITIVE_INFINITY;
    private int resident;
  }

  private final Setup setup;
  private final TickTimes times;
  private final Device[] devices;
  private final NavigableSet<Request> requests = new TreeSet<>(BY_DUE);
  private final List<Double> waits = new ArrayList<>();
  private int waiting;
  private double nanosPerStep;
  private double now;

  private QueueModel(Setup setup, TickTimes times) {
    this.setup = setup;
    this.times = times;
    this.devices = new Device[setup.devices];
    Arrays.setAll(devices, i -> new Device());
  }

  /**
   * Simulates.
   *
   * @param arrivals the requests, in the order in which they come and numbered so
   */
  static Outcome run(Setup setup, TickTimes times, List<Arrival> arrivals) {
    return new QueueModel(setup, times).run(arrivals);
  }

  private Outcome run(List<Arrival> arrivals) {
    double[] took = new double[arrivals.size()];
    int next = 0;
    while (next < took.length || !requests.isEmpty()) {
      Device first =
          Arrays.stream(devices).min(Comparator.comparingDouble(d -> d.end)).orElseThrow();
      if (next < took.length && arrivals.get(next).nanos() <= first.end) {
        Arrival arrival = arrivals.get(next++);
        now = arrival.nanos();
        took[arrival.number()] = -1;
        come(arrival);
      } else {
        now = first.end;
        end(first, took);
      }
      for (int i = 0; i < devices.length; i++) {
        if (devices[i].call.isEmpty()) {
          begin(i);
        }
      }
    }
    return new Outcome(arrivals, took, Latencies.ofNanos(waits), now);
  }

  private void come(Arrival arrival) {
    if (waiting < setup.queue) {
      double length = arrival.imageSteps() * (nanosPerStep == 0 ? UNKNOWN : nanosPerStep);
      requests.add(new Request(arrival, now + PATIENCE * length));
      waiting++;
    }
  }

  private void end(Device device, double[] took) {
    for (Request request : device.call) {
      if (--request.left == 0) {
        requests.remove(request);
        device.resident--;
        took[request.arrival.number()] = now - request.arrival.nanos();
      }
    }
    device.call = List.of();
    device.end = Double.POSITIVE_INFINITY;
  }

  private void begin(int index) {
    Device device = devices[index];
    List<Request> call = new ArrayList<>();
    int images = 0;
    for (Request request : requests) {
      boolean isNew = request.device < 0;
      boolean canTake = isNew ? device.resident < setup.resident : request.device == index;
      if (canTake && (call.isEmpty() || images + request.arrival.images() <= setup.batch)) {
        if (isNew) {
          request.device = index;
          device.resident++;
          waiting--;
          waits.add(now - request.arrival.nanos());
        }
        call.add(request);
        images += request.arrival.images();
        if (images >= setup.batch) {
          break;
        }
      }
    }
    if (!call.isEmpty()) {
      double nanos = times.nanos(images);
      double each = nanos / images;
      // The service learns it at the end of the call; few requests come in between.
      nanosPerStep = nanosPerStep == 0 ? each : (1 - LATEST) * nanosPerStep + LATEST * each;
      device.call = call;
      device.end = now + nanos;
    }
  }
}
