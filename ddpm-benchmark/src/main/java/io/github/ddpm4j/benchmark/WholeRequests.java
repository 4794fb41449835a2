package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.sampling.SamplingRun;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;

/**
 * The usual way to batch: as many requests as a batch takes are drawn together, from the first step
 * of all to the last step of the longest; what comes meanwhile waits. A request is done when its
 * own steps are, which is kinder than to wait for the batch.
 */
final class WholeRequests implements AutoCloseable {

  private record Waiting(SamplingRun run, double since, CompletableFuture<Void> done) {}

  private final int batch;
  private final BlockingQueue<Waiting> queue;
  private final Pace pace;
  private final Queue<Double> waits = new ConcurrentLinkedQueue<>();
  private final Thread worker = new Thread(this::work, "whole-requests");
  private volatile boolean closed;

  WholeRequests(int batch, int most, Pace pace) {
    this.batch = batch;
    this.pace = pace;
    this.queue = new ArrayBlockingQueue<>(most);
    worker.setDaemon(true);
    worker.start();
  }

  /** Completes with the last step of the run; empty if there is no room for it. */
  Optional<CompletableFuture<Void>> taken(SamplingRun run) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    return queue.offer(new Waiting(run, pace.now(), done)) ? Optional.of(done) : Optional.empty();
  }

  /** How long each waited for its first step, in nanoseconds. */
  Collection<Double> waits() {
    return waits;
  }

  private void work() {
    List<Waiting> together = new ArrayList<>();
    while (!closed) {
      try {
        Waiting first = queue.poll(10, TimeUnit.MILLISECONDS);
        if (first == null) {
          continue;
        }
        together.add(first);
        addWhatFits(together);
        double now = pace.now();
        together.forEach(one -> waits.add(now - one.since()));
      } catch (InterruptedException e) {
        return;
      }
      while (!together.isEmpty()) {
        advance(together.stream().map(Waiting::run).toList());
        for (Waiting one : List.copyOf(together)) {
          if (!one.run().hasNext()) {
            one.run().finish().close();
            one.done().complete(null);
            together.remove(one);
          }
        }
      }
    }
  }

  private void advance(List<SamplingRun> runs) {
    int images = runs.stream().mapToInt(SamplingRun::predictionsOfNextStep).sum();
    long begun = System.nanoTime();
    SamplingRun.advance(runs);
    pace.called(images, System.nanoTime() - begun);
  }

  /** As many images as a call may have, twice as many of those that are guided. */
  private void addWhatFits(List<Waiting> together) {
    int images = together.get(0).run().predictionsOfNextStep();
    Waiting next = queue.peek();
    while (next != null && images + next.run().predictionsOfNextStep() <= batch) {
      images += next.run().predictionsOfNextStep();
      together.add(queue.remove());
      next = queue.peek();
    }
  }

  @Override
  public void close() throws InterruptedException {
    closed = true;
    worker.join();
  }
}
