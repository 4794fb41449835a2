package io.github.ddpm4j.web;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.service.Progress;
import io.github.ddpm4j.service.RequestRefusedException;
import io.github.ddpm4j.service.ServedRequest;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A request of the page: what it looked like on the way, and what became of it. Holds no memory of
 * the engine once it has ended.
 */
final class Drawing {

  private static final Logger logger = LoggerFactory.getLogger(Drawing.class);

  /**
   * Something that happened.
   *
   * @param number counts all events of the drawing from 0, and stays when others are dropped
   * @param name {@code step}, {@code done} or {@code failed}
   * @param data an object of JSON
   */
  record Event(int number, String name, String data) {

    boolean isLast() {
      return !name.equals("step");
    }
  }

  /**
   * A picture that was drawn.
   *
   * @param png its file, which says how it was drawn
   * @param values its numbers, in the model's range
   */
  @SuppressWarnings("ArrayRecordComponent") // not handed on
  record Drawn(byte[] png, float[] values) {

    long bytes() {
      return png.length + (long) Float.BYTES * values.length;
    }
  }

  private final String id;
  private final String name;
  private final PageModel model;
  private final int count;
  private final int steps;
  private final NDManager arrays;
  private final Runnable grown;
  private final List<Event> events = new ArrayList<>();
  private List<Drawn> pictures = List.of();
  private int nextNumber;

  /** Null once it has ended, since it knows what it began with, such as a picture. */
  private @Nullable ServedRequest request;

  private boolean stopped;
  private boolean ended;

  /** What the follower alone uses: the pictures as they were last told, and the step of that. */
  private float[] sheet = new float[0];

  private int lastShown;

  /**
   * Follows a request.
   *
   * @param id its name to the page
   * @param name that of its model
   * @param model what draws
   * @param count the number of images
   * @param request what the service has taken
   * @param arrays what the request borrows; closed when it has ended
   * @param grown is run when the drawing holds more than before
   */
  Drawing(
      String id,
      String name,
      PageModel model,
      int count,
      ServedRequest request,
      NDManager arrays,
      Runnable grown) {
    this.id = id;
    this.name = name;
    this.model = model;
    this.count = count;
    this.steps = request.steps();
    this.request = request;
    this.arrays = arrays;
    this.grown = grown;
    request.progress().subscribe(new Follower(request));
  }

  String id() {
    return id;
  }

  /** The name of its model. */
  String model() {
    return name;
  }

  void cancel() {
    ServedRequest running;
    synchronized (this) {
      running = request;
      stopped = true;
    }
    if (running != null) {
      running.cancel();
    }
  }

  private synchronized boolean isStopped() {
    return stopped;
  }

  synchronized boolean hasEnded() {
    return ended;
  }

  synchronized Optional<Drawn> picture(int index) {
    return index < pictures.size() ? Optional.of(pictures.get(index)) : Optional.empty();
  }

  /** The bytes of memory that its events and pictures take, about. */
  synchronized long bytes() {
    return eventBytes() + pictures.stream().mapToLong(Drawn::bytes).sum();
  }

  /** A letter of an event is a byte. */
  private long eventBytes() {
    return events.stream().mapToLong(event -> event.data().length()).sum();
  }

  /**
   * Forgets what it looked like on the way, but for the latest event.
   *
   * @return the bytes that this frees
   */
  synchronized long dropSteps() {
    long before = eventBytes();
    if (events.size() > 1) {
      events.subList(0, events.size() - 1).clear();
    }
    return before - eventBytes();
  }

  /** Whether it has ended and no event has this number or a later one. */
  synchronized boolean isOverBefore(int number) {
    return ended && number >= nextNumber;
  }

  /**
   * The first event of a number or a later one, as soon as there is one; empty if none comes for a
   * while, or ever.
   */
  synchronized Optional<Event> event(int number, Duration patience) throws InterruptedException {
    long end = System.nanoTime() + patience.toNanos();
    while (nextNumber <= number) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0 || ended) {
        return Optional.empty();
      }
      wait(left);
    }
    return events.stream().filter(event -> event.number() >= number).findFirst();
  }

  private void add(String name, JsonObject data) {
    synchronized (this) {
      if (ended) {
        return;
      }
      Event event = new Event(nextNumber, name, data.toString());
      nextNumber++;
      ended = event.isLast();
      events.add(event);
      notifyAll();
    }
    grown.run(); // without the lock, since it asks other drawings
  }

  private final class Follower implements Flow.Subscriber<Progress> {
    private final ServedRequest followed;

    Follower(ServedRequest followed) {
      this.followed = followed;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Progress progress) {
      progress.preview().ifPresent(preview -> show(progress, preview));
    }

    @Override
    public void onError(Throwable failure) {
      end(followed);
    }

    @Override
    public void onComplete() {
      end(followed);
    }
  }

  private void show(Progress progress, Progress.Preview preview) {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray estimate = Upload.floats(manager, preview.values(), preview.shape());
      NDArray pictures = model.shown(estimate);
      Shape one = pictures.getShape().slice(1);
      int size = Math.toIntExact(one.size());
      if (sheet.length != count * size) {
        sheet = new float[count * size];
        Arrays.fill(sheet, (float) ((range().min() + range().max()) / 2));
      }
      float[] values = pictures.toFloatArray();
      System.arraycopy(
          values, 0, sheet, Math.toIntExact(preview.firstImage() * size), values.length);
      show(progress.step(), one);
    } catch (RuntimeException e) {
      logger.warn("a preview of drawing {} is not shown", id, e);
    }
  }

  private DataRange range() {
    return model.range().channel(0);
  }

  /**
   * What the sheet has after a step.
   *
   * @param one the shape of a picture
   */
  private void show(int step, Shape one) {
    JsonObject data = new JsonObject();
    data.addProperty("step", step);
    data.addProperty("steps", steps);
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray all = Upload.floats(manager, sheet, new Shape(count).addAll(one));
      Pictures pictures = Pictures.of(all).dataRange(model.range());
      BufferedImage grid = pictures.gap(count == 1 ? 0 : 1).toGrid();
      ByteArrayOutputStream png = new ByteArrayOutputStream();
      Pictures.write(grid, png, Map.of());
      data.addProperty(
          "image",
          "data:image/png;base64," + Base64.getEncoder().encodeToString(png.toByteArray()));
      add("step", data);
      lastShown = step;
    } catch (IOException | RuntimeException e) {
      logger.warn("a preview of drawing {} is not shown", id, e);
    }
  }

  /** The result is there before the progress ends. */
  private void end(ServedRequest followed) {
    try {
      add("done", done(followed.await()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      add("failed", failed(e));
    } catch (TimeoutException | IOException | RuntimeException | Error e) {
      add("failed", failed(e)); // whatever it is, who watches hears of it
    } finally {
      sheet = new float[0];
      arrays.close();
      synchronized (this) {
        request = null;
      }
    }
  }

  private JsonObject done(Samples samples) throws IOException {
    List<Drawn> drawn = new ArrayList<>();
    JsonArray told = new JsonArray();
    try (samples;
        NDManager manager = NDManager.newBaseManager();
        NDArray all = samples.toNDArray(manager)) {
      float[] values = all.toFloatArray();
      Shape one = all.getShape().slice(1);
      // A service that is fast leaves out some of the progress.
      if (lastShown < steps || !model.showsPictures()) {
        sheet = values;
        show(steps, one);
      }
      int size = Math.toIntExact(one.size());
      for (int i = 0; i < samples.size(); i++) {
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        samples.write(i, png);
        drawn.add(
            new Drawn(png.toByteArray(), Arrays.copyOfRange(values, i * size, (i + 1) * size)));
        JsonObject words = new JsonObject();
        samples.provenance(i).forEach(words::addProperty);
        told.add(words);
      }
    }
    synchronized (this) {
      pictures = List.copyOf(drawn);
    }
    JsonObject data = new JsonObject();
    data.add("pictures", told);
    return data;
  }

  private JsonObject failed(Throwable failure) {
    String message;
    if (failure instanceof CancellationException) {
      message = isStopped() ? "Stopped." : "The server ended before it was done.";
    } else if (failure instanceof TimeoutException) {
      message = "It took too long, and was given up: " + failure.getMessage();
    } else if (failure instanceof RequestRefusedException) {
      message = "There is too much to draw just now: " + failure.getMessage();
    } else {
      logger.warn("drawing {} failed", id, failure);
      message = "It failed; the log of the server says why.";
    }
    JsonObject data = new JsonObject();
    data.addProperty("message", message);
    return data;
  }
}
