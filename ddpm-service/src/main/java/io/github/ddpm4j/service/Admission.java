package io.github.ddpm4j.service;

import java.time.Duration;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Who may take one of the places of those that wait. While several tenants ask, a share is an equal
 * part of the places. A tenant below its share may take any that is free. One that has its share
 * leaves a place free for each other that has not, so that none fills the queue for all.
 *
 * <p>Not thread-safe.
 */
final class Admission {

  /** How long a tenant counts after it asked last. */
  static final Duration LATELY = Duration.ofMinutes(1);

  private final int most;
  private final RequestOrder order;

  /** When tenants asked last, the one that did so the longest ago first. */
  private final Map<String, Long> asked = new LinkedHashMap<>();

  Admission(int most, RequestOrder order) {
    this.most = most;
    this.order = order;
  }

  /** A tenant asks for a place, whether it gets one or not. */
  void ask(String tenant, long now) {
    asked.remove(tenant);
    asked.put(tenant, now);
    var oldest = asked.values().iterator();
    while (oldest.hasNext()
        && (now - oldest.next() > LATELY.toNanos() || asked.size() > Math.max(2, most))) {
      oldest.remove();
    }
  }

  /** Whether a tenant that asks may take a place. */
  boolean hasRoom(String tenant) {
    int free = most - order.waiting();
    if (free >= asked.size()) {
      return true;
    }
    Map<String, Long> held = held();
    long share = share(held);
    if (held.getOrDefault(tenant, 0L) < share) {
      return free > 0;
    }
    long others =
        asked.keySet().stream()
            .filter(other -> !other.equals(tenant) && held.getOrDefault(other, 0L) < share)
            .count();
    return free > others;
  }

  /**
   * Of those that wait, the one to leave for one that has no room: of a tenant that has more places
   * than its own, if its own has less than a share, and else of its own one that is due later.
   */
  Optional<Served> yielding(Served comer) {
    String tenant = comer.request().tenant();
    Map<String, Long> held = held();
    long own = held.getOrDefault(tenant, 0L);
    if (own < share(held)) {
      Optional<String> holder =
          held.entrySet().stream()
              .filter(entry -> entry.getValue() > own + 1)
              .max(Map.Entry.comparingByValue(Comparator.naturalOrder()))
              .map(Map.Entry::getKey);
      if (holder.isPresent()) {
        return order.least(holder.get());
      }
    }
    return order.least(tenant).filter(least -> least.times().due() > comer.times().due());
  }

  /** Why there is no room. */
  String told(String tenant) {
    boolean full = order.waiting() >= most;
    return "the service has "
        + (full
            ? most + " requests that wait, as many as may"
            : held().getOrDefault(tenant, 0L)
                + " requests of tenant "
                + tenant
                + " that wait, and keeps the free ones of "
                + most
                + " places for tenants that have fewer")
        + "; ask again later, or set queue(n)";
  }

  private Map<String, Long> held() {
    return order.waitingByTenant();
  }

  private long share(Map<String, Long> held) {
    long tenants =
        asked.size() + held.keySet().stream().filter(one -> !asked.containsKey(one)).count();
    return Math.max(1, most / tenants);
  }
}
