package io.github.ddpm4j.internal.hub;

import java.io.IOException;
import java.net.http.HttpResponse.BodySubscriber;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * The body of an answer, waited for a limited time for each piece: the JDK's streams wait for ever
 * when a server falls silent. Two pieces are held at most.
 */
final class PolledBody implements BodySubscriber<PolledBody>, AutoCloseable {

  /** A piece, the end, or what went wrong. */
  private record Piece(List<ByteBuffer> bytes, boolean last, @Nullable Throwable failure) {}

  private final BlockingQueue<Piece> pieces = new LinkedBlockingQueue<>();
  private final AtomicReference<Flow.@Nullable Subscription> subscription = new AtomicReference<>();

  @Override
  public CompletionStage<PolledBody> getBody() {
    return CompletableFuture.completedFuture(this);
  }

  @Override
  public void onSubscribe(Flow.Subscription newSubscription) {
    if (subscription.compareAndSet(null, newSubscription)) {
      newSubscription.request(1);
    } else {
      newSubscription.cancel();
    }
  }

  @Override
  public void onNext(List<ByteBuffer> bytes) {
    pieces.add(new Piece(bytes, false, null));
  }

  @Override
  public void onError(Throwable failure) {
    pieces.add(new Piece(List.of(), true, failure));
  }

  @Override
  public void onComplete() {
    pieces.add(new Piece(List.of(), true, null));
  }

  /**
   * Waits for the next piece.
   *
   * @param patience how long
   * @return the piece; null at the end
   * @throws IOException if the connection broke, or nothing came for so long
   * @throws InterruptedException if the thread was interrupted
   */
  @Nullable List<ByteBuffer> next(Duration patience) throws IOException, InterruptedException {
    Piece piece = pieces.poll(patience.toMillis(), TimeUnit.MILLISECONDS);
    if (piece == null) {
      throw new IOException("nothing came for " + patience.toMillis() / 1000.0 + " s");
    }
    if (piece.failure() != null) {
      throw new IOException(
          "the connection broke: " + piece.failure().getMessage(), piece.failure());
    }
    if (piece.last()) {
      return null;
    }
    Flow.Subscription open = subscription.get();
    if (open != null) {
      open.request(1);
    }
    return piece.bytes();
  }

  /** Ends the connection, if there is more to come. */
  @Override
  public void close() {
    Flow.Subscription open = subscription.get();
    if (open != null) {
      open.cancel();
    }
  }
}
