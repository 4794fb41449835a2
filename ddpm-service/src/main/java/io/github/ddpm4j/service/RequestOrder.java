package io.github.ddpm4j.service;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Which requests take the next step together. Tenants get the same number of image-steps while they
 * have requests (start-time fair queueing, Goyal et al. 1996); among those of a tenant the one that
 * is due first goes first. What is due grows with the length of a request, so that short ones
 * overtake long ones, and is fixed when it comes, so that none waits for ever: now and then a call
 * begins with the one that is due first of all, and one that is too large for the memory that is
 * left is overtaken by no more images than it has. A request that has begun is its worker's; one
 * that waits is anybody's.
 *
 * <p>Not thread-safe.
 */
final class RequestOrder {

  private static final Comparator<Served> BY_DUE =
      Comparator.comparingLong((Served served) -> served.times().due())
          .thenComparingLong(Served::id);

  /** One call in so many begins with the request that is due first of all. */
  private static final int OLDEST_EVERY = 4;

  private static final int MOST_LEFT = 1024;

  /** A caller of many requests. */
  private static final class Tenant {

    private final NavigableSet<Served> requests = new TreeSet<>(BY_DUE);

    /** Image-steps that it got, as if it had always had requests. */
    private double got;
  }

  private final Map<String, Tenant> tenants = new LinkedHashMap<>();

  /** What tenants got that have no requests now, where it is more than the poorest of all has. */
  private final Map<String, Double> left = new LinkedHashMap<>();

  private final Map<Integer, Integer> callsOf = new HashMap<>();
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

  /**
   * What all requests cost.
   *
   * @param cost of one, such as its image-steps
   */
  double work(ToDoubleFunction<Served> cost) {
    return all().mapToDouble(cost).sum();
  }

  /** Images of a call that all requests of a model are in. */
  long nextPredictions(ServedModel model) {
    return all()
        .filter(served -> served.model() == model)
        .mapToLong(served -> served.run().predictionsOfNextStep())
        .sum();
  }

  /**
   * What is spent before a request is done, but for itself: those of its tenant that are due before
   * it, and on each other tenant as much as on its own meanwhile.
   */
  double workAhead(Served served, ToDoubleFunction<Served> cost) {
    String name = served.request().tenant();
    Tenant own = tenants.get(name);
    double before = own == null ? 0 : work(own.requests.headSet(served), cost);
    double share = before + cost.applyAsDouble(served);
    return before
        + tenants.entrySet().stream()
            .filter(other -> !other.getKey().equals(name))
            .mapToDouble(other -> Math.min(share, work(other.getValue().requests, cost)))
            .sum();
  }

  private static double work(Collection<Served> requests, ToDoubleFunction<Served> cost) {
    return requests.stream().mapToDouble(cost).sum();
  }

  /** Of those of a tenant that wait and were never begun, the one that is due last. */
  Optional<Served> least(String tenant) {
    return all()
        .filter(served -> served.isNew() && served.request().tenant().equals(tenant))
        .max(BY_DUE);
  }

  /** How many of each tenant wait, of those that have any. */
  Map<String, Long> waitingByTenant() {
    return all()
        .filter(served -> !served.hasBegun())
        .collect(
            Collectors.groupingBy(
                served -> served.request().tenant(), LinkedHashMap::new, Collectors.counting()));
  }

  void add(Served served) {
    String name = served.request().tenant();
    Tenant tenant = tenants.get(name);
    if (tenant == null) {
      tenant = new Tenant();
      // A tenant that comes has no claim on what the others got before, but keeps what it got more.
      tenant.got = Math.max(leastGot(), left.getOrDefault(name, 0.0));
      left.remove(name);
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
        left.put(name, tenant.got);
        double least = leastGot();
        left.values().removeIf(got -> tenants.isEmpty() || got <= least);
        if (left.size() > MOST_LEFT) {
          left.remove(left.keySet().iterator().next()); // who left the longest ago
        }
      }
    }
  }

  private double leastGot() {
    return tenants.values().stream().mapToDouble(tenant -> tenant.got).min().orElse(0);
  }

  /**
   * Those that take the next step together on a worker: of one model, and of no more images than
   * its calls may have, unless the first has more.
   *
   * @param worker its number
   */
  List<Served> next(int worker) {
    Choice choice = new Choice(worker);
    int calls = callsOf.getOrDefault(worker, 0);
    if (calls % OLDEST_EVERY == OLDEST_EVERY - 1) {
      all().filter(choice::canTake).min(BY_DUE).ifPresent(choice::take);
    }
    Map<Tenant, Iterator<Served>> candidates = new LinkedHashMap<>();
    tenants.values().forEach(tenant -> candidates.put(tenant, tenant.requests.iterator()));
    while (!candidates.isEmpty() && !choice.isFull()) {
      Tenant tenant = poorest(candidates);
      Served served = candidate(candidates, tenant);
      if (served == null) {
        candidates.remove(tenant);
      } else if (choice.canTake(served)) {
        choice.take(served);
      }
    }
    if (!choice.chosen.isEmpty()) {
      callsOf.put(worker, calls + 1);
      settle(choice.chosen);
    }
    return choice.chosen;
  }

  /**
   * A tenant all of whose requests are in a call gets all that it asks for, and has no claim on
   * what others get of the places that are left.
   */
  private void settle(List<Served> call) {
    Map<Tenant, Integer> taken = new LinkedHashMap<>();
    for (Served served : call) {
      Tenant tenant = tenants.get(served.request().tenant());
      if (tenant != null) {
        taken.merge(tenant, 1, Integer::sum);
      }
    }
    double most = taken.keySet().stream().mapToDouble(tenant -> tenant.got).max().orElse(0);
    double least =
        taken.entrySet().stream()
            .filter(entry -> entry.getValue() < entry.getKey().requests.size())
            .mapToDouble(entry -> entry.getKey().got)
            .min()
            .orElse(most);
    taken.forEach(
        (tenant, count) -> {
          if (count == tenant.requests.size()) {
            tenant.got = Math.max(tenant.got, least);
          }
        });
  }

  private static Tenant poorest(Map<Tenant, Iterator<Served>> left) {
    return left.keySet().stream().min(Comparator.comparingDouble(t -> t.got)).orElseThrow();
  }

  private static @Nullable Served candidate(Map<Tenant, Iterator<Served>> left, Tenant tenant) {
    Iterator<Served> requests = left.get(tenant);
    return requests != null && requests.hasNext() ? requests.next() : null;
  }

  /** What a worker steps next, request by request. */
  private final class Choice {

    private final int worker;
    private final List<Served> chosen = new ArrayList<>();
    private int images;

    /** Images that hold the worker's memory. */
    private long resident;

    /** A request that was overtaken often enough, for which memory is kept. */
    private final @Nullable Served next;

    Choice(int worker) {
      this.worker = worker;
      this.resident = all().filter(served -> served.isOf(worker)).mapToLong(Served::images).sum();
      this.next =
          all()
              .filter(served -> served.canBegin(worker) && served.isOvertaken())
              .min(BY_DUE)
              .orElse(null);
    }

    boolean canTake(Served served) {
      return (served.isOf(worker) || (served.canBegin(worker) && hasMemory(served)))
          && !chosen.contains(served)
          && (chosen.isEmpty() || fits(chosen.get(0), served));
    }

    private boolean hasMemory(Served served) {
      Served kept = next == served ? null : next;
      long needed = resident + served.images() + (kept == null ? 0 : kept.images());
      return needed <= mostResident || (resident == 0 && kept == null);
    }

    private boolean fits(Served first, Served other) {
      return !other.request().isAlone()
          && first.model() == other.model()
          && first.run(worker).advancesWith(other.run(worker))
          && images + other.run(worker).predictionsOfNextStep() <= first.model().mostImages();
    }

    void take(Served served) {
      if (!served.isOf(worker)) {
        all()
            .filter(other -> other.canBegin(worker) && BY_DUE.compare(other, served) < 0)
            .filter(other -> resident + other.images() > mostResident)
            .forEach(other -> other.overtake(served.images()));
        resident += served.images();
      }
      int more = served.run(worker).predictionsOfNextStep();
      chosen.add(served);
      images += more;
      Tenant tenant = tenants.get(served.request().tenant());
      if (tenant != null) {
        tenant.got += more;
      }
    }

    boolean isFull() {
      return !chosen.isEmpty()
          && (chosen.get(0).request().isAlone() || images >= chosen.get(0).model().mostImages());
    }
  }
}
