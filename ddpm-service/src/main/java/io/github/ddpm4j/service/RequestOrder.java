package io.github.ddpm4j.service;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Which requests take the next step together. Tenants get the same number of image-steps while they
 * have requests (start-time fair queueing, Goyal et al. 1996); among those of a tenant the one that
 * is due first goes first. What is due grows with the length of a request, so that short ones
 * overtake long ones, and is fixed when it comes, so that none waits for ever. A request that has
 * begun is its worker's; one that waits is anybody's.
 *
 * <p>Not thread-safe.
 */
final class RequestOrder {

  private static final Comparator<Served> BY_DUE =
      Comparator.comparingLong((Served served) -> served.times().due())
          .thenComparingLong(Served::number);

  /** A caller of many requests. */
  private static final class Tenant {

    private final NavigableSet<Served> requests = new TreeSet<>(BY_DUE);

    /** Image-steps that it got, as if it had always had requests. */
    private double got;
  }

  private final Map<String, Tenant> tenants = new HashMap<>();
  private final int mostResident;
  private int size;

  /**
   * @param mostResident the most images of requests that a worker has begun, and that hold its
   *     memory
   */
  RequestOrder(int mostResident) {
    this.mostResident = mostResident;
  }

  int size() {
    return size;
  }

  /** Those before their first step. */
  int waiting() {
    return (int) all().filter(served -> !served.hasBegun()).count();
  }

  /** All requests, in no order. */
  Stream<Served> all() {
    return tenants.values().stream().flatMap(tenant -> tenant.requests.stream());
  }

  /** Image-steps that are due before a time. */
  long workBefore(long due) {
    return all().filter(served -> served.times().due() <= due).mapToLong(Served::work).sum();
  }

  /** Of those that wait, the one that is due last. */
  Optional<Served> least() {
    return all().filter(served -> !served.hasBegun()).max(BY_DUE);
  }

  void add(Served served) {
    String name = served.request().tenant();
    Tenant tenant = tenants.get(name);
    if (tenant == null) {
      tenant = new Tenant();
      // A tenant that comes has no claim on what the others got before.
      tenant.got = tenants.values().stream().mapToDouble(other -> other.got).min().orElse(0);
      tenants.put(name, tenant);
    }
    tenant.requests.add(served);
    size++;
  }

  void remove(Served served) {
    String name = served.request().tenant();
    Tenant tenant = tenants.get(name);
    if (tenant != null && tenant.requests.remove(served)) {
      size--;
      if (tenant.requests.isEmpty()) {
        tenants.remove(name);
      }
    }
  }

  /**
   * Those that take the next step together on a worker: of one model, and of no more images than
   * its calls may have, unless the first has more.
   *
   * @param worker its number
   */
  List<Served> next(int worker) {
    List<Served> chosen = new ArrayList<>();
    Map<Tenant, Iterator<Served>> left = new HashMap<>();
    tenants.values().forEach(tenant -> left.put(tenant, tenant.requests.iterator()));
    long resident =
        all()
            .filter(served -> served.isOf(worker))
            .mapToLong(served -> served.run().imagesOfNextStep())
            .sum();
    int images = 0;
    while (!left.isEmpty()) {
      Tenant tenant = poorest(left);
      Served served = candidate(left, tenant);
      if (served == null) {
        left.remove(tenant);
        continue;
      }
      boolean begins = served.canBegin(worker);
      if (!begins && !served.isOf(worker)) {
        continue;
      }
      int more = served.run().imagesOfNextStep();
      boolean first = chosen.isEmpty();
      if (begins && resident > 0 && resident + more > mostResident) {
        continue;
      }
      if (!first && !fits(chosen.get(0), served, images + more)) {
        continue;
      }
      if (begins) {
        resident += more;
      }
      chosen.add(served);
      images += more;
      tenant.got += more;
      if (served.request().isAlone() || images >= served.model().mostImages()) {
        break;
      }
    }
    return chosen;
  }

  private static Tenant poorest(Map<Tenant, Iterator<Served>> left) {
    return left.keySet().stream().min(Comparator.comparingDouble(t -> t.got)).orElseThrow();
  }

  private static @Nullable Served candidate(Map<Tenant, Iterator<Served>> left, Tenant tenant) {
    Iterator<Served> requests = left.get(tenant);
    return requests != null && requests.hasNext() ? requests.next() : null;
  }

  private static boolean fits(Served first, Served other, int images) {
    return !other.request().isAlone()
        && first.model() == other.model()
        && images <= first.model().mostImages();
  }
}
